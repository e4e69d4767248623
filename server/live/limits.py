"""The gateway's bounds, all in one place, and the token bucket behind its rates."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Every bound of a socket and of the hub. Times in seconds, sizes in bytes."""

    #: One inbound frame.
    frame_bytes_max: int = 64 * 1024
    #: What may wait for one client before it counts as slow.
    queue_bytes_max: int = 1024 * 1024
    #: With more than this waiting, ephemeral frames are held back and only the latest of each is kept.
    backlog_bytes: int = 32 * 1024
    #: Unsent bytes that the kernel takes from us for one socket, so that a backlog shows here and not there.
    kernel_unsent_bytes: int = 64 * 1024
    #: Held-back ephemeral frames of one socket.
    held_max: int = 256
    connections_per_user_max: int = 16
    #: Sockets, event streams and polls of one address (of an IPv6 network of 64 bits), and of this node.
    connections_per_address_max: int = 500
    connections_max: int = 50_000
    topics_max: int = 128
    #: Commands of one session that have no answer yet.
    in_flight_max: int = 64
    #: Queries of one session that run at once, and that wait for it.
    queries_at_once: int = 4
    queries_waiting_max: int = 32
    query_timeout_s: float = 10.0
    #: Frames of any kind of one session; past it the socket is closed.
    frames_per_s: float = 500.0
    frames_burst: float = 2_000.0
    #: Wrong frames of one session before it is closed.
    bad_frames_max: int = 8

    hello_s: float = 10.0
    #: Sign-in and reading the log's position, after hello.
    opening_s: float = 10.0
    heartbeat_s: float = 25.0
    #: A ping goes out up to this share earlier, so that sessions that opened together do not ping together.
    heartbeat_jitter: float = 0.2
    pong_s: float = 10.0
    #: How often the rights to subscribed topics are checked again.
    recheck_s: float = 60.0
    #: How long a client may take to answer a close frame, and to read what was sent before it.
    close_s: float = 10.0
    #: How long commands under way may take to be answered when the server stops.
    drain_s: float = 10.0
    #: Reconnects after a stop or a fault are spread over this long.
    reconnect_spread_s: float = 5.0

    #: Sockets whose messages are taken in one tick of the loop. What else is ready, such as the database's word that a
    #: batch is durable, waits no longer than for these.
    reads_per_tick: int = 16

    #: Whatever waits for an instant may be so late: all sockets share a wheel of such ticks.
    tick_s: float = 0.05

    #: Rows and bytes that one step of a replay takes from the log.
    page_rows: int = 500
    page_bytes_max: int = 256 * 1024
    #: Pages read together in one statement, and the rows that they share.
    pages_together: int = 64
    page_rows_together: int = 2_000
    #: Events that came too early, kept until the ones before them are there; more are read from the log.
    early_max: int = 64
    #: How long a missing event may take to arrive by itself before the log is read.
    gap_grace_s: float = 0.05
    #: Reads of the log that do not bring the missing event, before the session gives up.
    gap_reads_max: int = 3

    #: How often presences are let go; how often acks are written, and sessions compared with the log, at the earliest.
    housekeeping_every_s: float = 1.0
    ack_every_s: float = 2.0
    acks_max: int = 20_000
    heal_every_s: float = 25.0
    #: Somebody whose last connection closed stays online this long.
    presence_grace_s: float = 10.0
