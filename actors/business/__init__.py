"""Businesses: the actor, its state, and how its rows are made and changed."""

from actors.business.actor import Business

__all__ = ["Business"]
