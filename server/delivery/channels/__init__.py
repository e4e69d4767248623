"""The channels of deliveries: e-mail, push, SMS and WhatsApp; one adapter a file."""
