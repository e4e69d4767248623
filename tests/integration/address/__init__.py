"""Saved addresses on a real server."""
