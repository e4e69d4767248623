"""The limits of live connections, all in one place."""

from dataclasses import dataclass

#: Retry hint for a client with too many requests under way.
REQUEST_RETRY_AFTER_S = 0.2
#: Retry hint for a connection that is refused because there are too many.
CONNECT_RETRY_AFTER_S = 5.0
#: Users whose sessions are compared with the log in one statement.
RESYNC_USERS_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of connections and of the hub. Times in seconds, sizes in bytes."""

    #: One inbound frame.
    frame_bytes_max: int = 64 * 1024
    #: Unsent bytes of one client before it is closed as slow.
    queue_bytes_max: int = 1024 * 1024
    #: With more unsent bytes than this, ephemeral frames are held back and only the latest of each key is kept.
    backlog_bytes: int = 32 * 1024
    #: Unsent bytes that the kernel buffers for one socket, so that a backlog shows in the server and not there.
    kernel_unsent_bytes: int = 64 * 1024
    #: Held-back ephemeral frames of one socket.
    held_max: int = 256
    connections_per_user_max: int = 16
    #: Sockets, event streams and polls of one address (of an IPv6 network of 64 bits), and of this node.
    connections_per_address_max: int = 500
    connections_max: int = 50_000
    topics_max: int = 128
    #: Unanswered commands of one session.
    in_flight_max: int = 64
    #: Queries of one session that run at once, and those that wait for them.
    queries_at_once: int = 4
    queries_waiting_max: int = 32
    query_timeout_s: float = 10.0
    #: Frames of any kind of one session; past it the connection is closed.
    frames_per_s: float = 500.0
    frames_burst: float = 2_000.0
    #: Invalid frames of one session before it is closed.
    bad_frames_max: int = 8

    hello_s: float = 10.0
    #: Authentication and reading the log's position, after hello.
    opening_s: float = 10.0
    heartbeat_s: float = 25.0
    #: A ping is sent up to this share earlier, so that sessions that opened together do not ping together.
    heartbeat_jitter: float = 0.2
    pong_s: float = 10.0
    #: How often the rights to subscribed topics are checked again.
    recheck_s: float = 60.0
    #: How long a client may take to answer a close frame, and to read what was sent before it.
    close_s: float = 10.0
    #: How long a session waits for its commands under way when the server stops.
    drain_s: float = 10.0
    #: Reconnects after a stop or a fault are spread over this time.
    reconnect_spread_s: float = 5.0

    #: Sockets that are read in one iteration of the event loop. Other callbacks, such as the end of a commit, wait for
    #: these at most.
    reads_per_tick: int = 16

    #: Resolution of the timer wheel: a timer fires late by this much at most.
    tick_s: float = 0.05

    #: Rows and bytes of one page of the log.
    page_rows: int = 500
    page_bytes_max: int = 256 * 1024
    #: Pages read together in one statement, and the rows that they share.
    pages_together: int = 64
    page_rows_together: int = 2_000
    #: Events that arrived early, kept until their turn; more are read from the log.
    early_max: int = 64
    #: How long a missing event may take to arrive before the log is read.
    gap_grace_s: float = 0.05
    #: Reads of the log that do not return the missing event, before the session is closed.
    gap_reads_max: int = 3

    #: How often presence expires; how often acks are written, and sessions compared with the log, at the earliest.
    housekeeping_every_s: float = 1.0
    ack_every_s: float = 2.0
    acks_max: int = 20_000
    resync_every_s: float = 25.0
    #: How long a user stays online after the last connection has closed.
    presence_grace_s: float = 10.0
