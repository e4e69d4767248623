"""Accounts: passwords, tokens, sessions and codes, around the user actor."""
