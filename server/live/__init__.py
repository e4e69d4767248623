"""Live connections: sessions, their connections, and the hub that knows them all."""
