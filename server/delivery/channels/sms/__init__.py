"""Short messages by SMS and WhatsApp."""
