"""Short messages, by SMS and by WhatsApp."""
