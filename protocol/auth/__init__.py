"""Signing in: procedures, terms and views."""
