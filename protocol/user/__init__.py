"""What can be said about users."""
