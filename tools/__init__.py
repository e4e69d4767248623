"""Scripts for developers, outside the server."""
