"""Devices that receive push messages."""
