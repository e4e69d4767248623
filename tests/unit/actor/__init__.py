"""The base of all actors."""
