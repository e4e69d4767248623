"""The WebSocket transport: sessions without input or output, and the thin shells that give them both."""
