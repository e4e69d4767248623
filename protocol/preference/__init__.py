"""Notification preferences of users."""
