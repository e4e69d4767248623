"""What can be said about devices."""
