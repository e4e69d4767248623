"""Notifications: types, list, and read marks (rule N-1)."""
