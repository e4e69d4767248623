"""The input and output of one client: WebSocket, event stream, long poll."""
