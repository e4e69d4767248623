"""What can be said about deliveries."""
