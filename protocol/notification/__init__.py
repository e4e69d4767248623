"""Notifications: what people are told of, and what they have read (SPEC §7, seed 002 phase 7)."""
