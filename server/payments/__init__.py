"""Payments: what a gateway must offer, its adapters, its webhooks, and refunds."""
