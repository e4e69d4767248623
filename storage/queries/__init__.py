"""Reads for views and facts, one file for each noun."""
