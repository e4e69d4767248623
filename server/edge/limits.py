"""The limits of the HTTP transport."""

#: Size of a command's body.
BODY_BYTES_MAX = 64 * 1024


#: How long a client may take to send the body after the headers.
BODY_TIMEOUT_S = 20.0


#: How long a new connection may take until its first request's headers are complete.
HEADERS_TIMEOUT_S = 10.0


#: Open files that new connections leave to the database, logs and keys.
SPARE_FILES = 128


#: The request line, and one header line.
LINE_BYTES_MAX = 8_190


HEADERS_MAX = 64


#: Fields of a query string.
QUERY_FIELDS_MAX = 64


#: An idle connection is closed after this; longer than common proxies keep theirs.
KEEP_ALIVE_S = 75.0


#: How long the rest of a refused body is read and dropped before the connection is closed.
LINGER_S = 5.0


#: Length of a command id, the same over REST and WebSocket.
COMMAND_ID_MAX = 128


#: Length of a request id or trace context that is echoed.
TRACE_HEADER_MAX = 128


#: How much of a field name sent by the client an error repeats.
ECHO_MAX = 100


#: Forwarding hops of a request that are evaluated.
HOPS_MAX = 16
