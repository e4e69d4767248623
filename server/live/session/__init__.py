"""One session without input or output: what a client may ask, and what it is sent."""
