"""Bookings: the terms, the commands, the events, the facts and the views."""
