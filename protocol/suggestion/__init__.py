"""Suggested replies: rows, terms and views."""
