"""A long run of a real server with real people on bad lines, while it is killed, frozen and cut off: ``make soak``."""
