"""Events over plain HTTP: the parameters of ``GET /v1/events``, and the page that a long poll returns."""

from typing import Annotated

from msgspec import Meta, Struct

from protocol.frames import EventFrame, OpenOutcome, Since

#: How long a long poll may wait for the first event.
POLL_WAIT_MAX_S = 30.0
#: The default of ``wait_s``.
POLL_WAIT_DEFAULT_S = 25.0
#: Events of one page at most.
POLL_LIMIT_MAX = 100


class StreamParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of the event stream; the header ``Last-Event-ID`` overrides ``since``."""

    #: ``epoch:seq`` of the last event that was handled; None: start with new events.
    since: Since | None = None


class PollParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of a long poll."""

    #: ``epoch:seq`` of the last event that was handled; None: return only the end of the log.
    since: Since | None = None
    #: Seconds to wait for the first event if there is none yet.
    wait_s: Annotated[float, Meta(ge=0, le=POLL_WAIT_MAX_S)] = POLL_WAIT_DEFAULT_S
    #: The most events of the page.
    limit: Annotated[int, Meta(ge=1, le=POLL_LIMIT_MAX)] = POLL_LIMIT_MAX


class EventPage(Struct, frozen=True, kw_only=True):
    """A page of the events after a position; continue with ``as_of``."""

    #: As in a socket's ``welcome``; with ``fresh`` and ``reset`` there are no events, and ``as_of`` is the log's end.
    outcome: OpenOutcome
    #: ``epoch:seq`` of the last event of the page, or of its start if it is empty: the next ``since``.
    as_of: str
    #: Whether there are more events now.
    more: bool
    #: The same frames as over a WebSocket, in order and without a gap.
    events: list[EventFrame]
