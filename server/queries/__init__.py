"""Queries whose answers need the rules of the domain: what storage reads, put through what actors know."""
