"""How a client asks for its events: the routes and media types that the transports and their documents share."""

SOCKET_PATH = "/v1/socket"
EVENTS_PATH = "/v1/events"
#: Server-Sent Events.
STREAM_TYPE = "text/event-stream"
#: A page of events, by long polling.
JSON_TYPE = "application/json"
#: The cursor of a client that reconnects to an event stream; goes before ``since``.
LAST_EVENT_ID = "Last-Event-ID"
