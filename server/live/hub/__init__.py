"""All live connections of this node: delivery of events, topics and presence, limits, the log."""
