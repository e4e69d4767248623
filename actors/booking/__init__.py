"""Bookings: the actor, and its state."""
