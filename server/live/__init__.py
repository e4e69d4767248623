"""Live connections: sessions, their connections, and the hub of all connections of this node."""
