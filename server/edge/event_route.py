"""Routes and media types for receiving events, shared by the transports and their API documents."""

SOCKET_PATH = "/v1/socket"
EVENTS_PATH = "/v1/events"
#: Server-Sent Events.
STREAM_TYPE = "text/event-stream"
#: A page of events, by long polling.
JSON_TYPE = "application/json"
#: The cursor of a client that reconnects to an event stream; takes precedence over ``since``.
LAST_EVENT_ID = "Last-Event-ID"
