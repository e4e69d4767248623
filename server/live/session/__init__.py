"""One client's session, without input or output."""
