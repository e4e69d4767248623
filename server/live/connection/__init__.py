"""The I/O of one client: WebSocket, event stream, long poll."""
