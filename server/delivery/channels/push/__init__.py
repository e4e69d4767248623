"""Push messages to phones (FCM) and browsers (Web Push)."""
