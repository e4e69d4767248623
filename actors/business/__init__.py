"""Businesses: the actor, its parts, and its state."""
