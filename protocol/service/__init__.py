"""What can be said about services."""
