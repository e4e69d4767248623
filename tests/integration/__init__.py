"""Parts against the real database and real connections."""
