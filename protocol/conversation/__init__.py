"""What can be said about conversations."""
