"""Queries that need the rules of the domain, or texts, beside what storage reads."""
