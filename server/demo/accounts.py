"""The public accounts of the demo; they exist only in development."""

#: The password of every demo account. It is public: never make demo data on a server that others can reach.
DEMO_PASSWORD = "guild-wire-demo"
DOMAIN = "demo.guildwire.test"

CUSTOMER_EMAIL = f"customer@{DOMAIN}"
#: Works for the business of OWNER_EMAIL, and does everything that it offers.
STAFF_EMAIL = f"staff@{DOMAIN}"
OWNER_EMAIL = f"owner@{DOMAIN}"
ADMIN_EMAIL = f"admin@{DOMAIN}"
