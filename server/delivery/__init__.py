"""Delivery of notifications: outbox, routing, workers, suppression, channels."""
