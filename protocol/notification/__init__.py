"""Notifications: types, list, and read marks."""
