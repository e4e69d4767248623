"""Deliveries: one message by one channel, from queueing to its outcome."""
