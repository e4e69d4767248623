"""The bounds of requests, shared by all transports."""

#: A command's body.
BODY_BYTES_MAX = 64 * 1024


#: How long a client may take to send a body that did not come with its headers.
BODY_TIMEOUT_S = 20.0


#: The request line, and one header line.
LINE_BYTES_MAX = 8_190


HEADERS_MAX = 64


#: Fields of a query string.
QUERY_FIELDS_MAX = 64


#: A connection that asks nothing is closed after this; longer than common proxies keep theirs.
KEEP_ALIVE_S = 75.0


#: How long the rest of a refused body is read away before the connection is closed.
LINGER_S = 5.0


#: A command id, the same over REST and WebSocket.
COMMAND_ID_MAX = 128


#: A request id or trace context that is echoed.
TRACE_HEADER_MAX = 128


#: A field name of the client's own making, as far as an error repeats it.
ECHO_MAX = 100


#: Forwarding hops of a request that are looked at.
HOPS_MAX = 16
