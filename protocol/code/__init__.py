"""What can be said about codes."""
