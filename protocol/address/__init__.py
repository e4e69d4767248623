"""What can be said about saved addresses."""
