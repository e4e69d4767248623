"""Hearing events over plain HTTP: what ``GET /v1/events`` takes, and the page that a long poll gets."""

from typing import Annotated

from msgspec import Meta, Struct

from protocol.frames import EventFrame, OpenOutcome, Since

#: How long a long poll may wait for the first event.
POLL_WAIT_MAX_S = 30.0
#: The same, unless it says so.
POLL_WAIT_DEFAULT_S = 25.0
#: Events of one page.
POLL_LIMIT_MAX = 100


class StreamParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be asked of the event stream; the header ``Last-Event-ID`` goes before ``since``."""

    #: ``epoch:seq`` of the last event that was handled; None begins with what happens from now on.
    since: Since | None = None


class PollParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be asked of a long poll."""

    #: ``epoch:seq`` of the last event that was handled; None only says where the log ends now.
    since: Since | None = None
    #: How long to wait for the first event if there is none yet, in seconds.
    wait_s: Annotated[float, Meta(ge=0, le=POLL_WAIT_MAX_S)] = POLL_WAIT_DEFAULT_S
    #: The most events of the page.
    limit: Annotated[int, Meta(ge=1, le=POLL_LIMIT_MAX)] = POLL_LIMIT_MAX


class EventPage(Struct, frozen=True, kw_only=True):
    """The events behind a position, as far as a page goes; ask on with ``as_of``."""

    #: As in a socket's ``welcome``; with ``fresh`` and ``reset`` there are no events, and ``as_of`` is the log's end.
    outcome: OpenOutcome
    #: ``epoch:seq`` of the last event of the page, or where it would have begun: the next ``since``.
    as_of: str
    #: Whether there are more already.
    more: bool
    #: The very frames of the socket, in order and without a gap.
    events: list[EventFrame]
