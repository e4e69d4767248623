"""All live connections of this node: delivery of events, presence, limits, the log."""
