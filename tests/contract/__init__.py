"""What the wire promises: golden frames, documents and the permission matrix."""
