"""Notices: messages that admins write to users."""
