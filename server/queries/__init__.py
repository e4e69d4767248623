"""Queries that need rules of the domain or texts: they combine storage's reads with ``actors.rules``."""
