"""Texts that people read, by language and noun: ``words/<language>/<noun>.py``.

A text that a language lacks falls back to English, which is complete. Texts may hold fields in braces.
"""
