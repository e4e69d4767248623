"""``make clients``: clients that public generators make from the two documents, driven against a real server."""
