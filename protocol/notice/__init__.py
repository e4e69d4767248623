"""What can be said about notices."""
