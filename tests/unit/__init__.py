"""Decisions and pure code, with neither I/O nor mocks."""
