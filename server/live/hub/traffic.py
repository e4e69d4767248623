"""What goes over the wire, by transport: an addition for each frame, read when somebody looks at /metrics."""

#: Sockets that speak JSON or MessagePack, event streams, long polls.
TRANSPORTS = ("json", "msgpack", "sse", "poll")


class Traffic:
    """The counts of one transport."""

    __slots__ = ("frames_in", "frames_out", "open")

    def __init__(self) -> None:
        #: Connections there are now.
        self.open = 0
        #: Messages of clients; over plain HTTP there are none.
        self.frames_in = 0
        #: Frames on their way to clients.
        self.frames_out = 0
