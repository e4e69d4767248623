"""Wallets: terms and views."""
