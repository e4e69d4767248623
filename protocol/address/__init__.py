"""Saved addresses: a record."""
