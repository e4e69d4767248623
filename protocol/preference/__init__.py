"""What can be said about notification preferences."""
