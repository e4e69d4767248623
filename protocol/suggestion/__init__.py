"""What can be said about suggested replies."""
