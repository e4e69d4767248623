"""What can be said about signing in."""
