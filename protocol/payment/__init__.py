"""What can be said about payments."""
