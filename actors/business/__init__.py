"""Businesses: the actor, its state, and how its rows are made and changed."""
