"""Payments: the interface of a payment gateway, its adapters, webhooks, and refunds."""
