"""The demo accounts with known addresses; they exist only in development."""

from server.ops.demo_accounts import DEMO_DOMAIN

DOMAIN = DEMO_DOMAIN

#: The password of every demo account. It is public: never make demo data on a server that others can reach.
DEMO_PASSWORD = "guild-wire-demo"

CUSTOMER_EMAIL = f"customer@{DOMAIN}"
#: Works for the business of OWNER_EMAIL, and performs all its services.
STAFF_EMAIL = f"staff@{DOMAIN}"
OWNER_EMAIL = f"owner@{DOMAIN}"
ADMIN_EMAIL = f"admin@{DOMAIN}"
