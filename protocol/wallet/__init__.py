"""What can be said about wallets."""
