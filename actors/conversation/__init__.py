"""Conversations: the actor, and its state."""
