"""What can be said about businesses."""
