"""Renders event frames, from committed events and from the log: the same event gives the same bytes, live and replayed.

A body holds all fields of the frame after ``seq``. It is encoded once for all recipients; the number is put before it
for each of them. Keys and sets are in a fixed order, since the log does not keep theirs.
"""

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw, Struct

from actors.actor import ACTORS
from actors.runtime.call import Published
from protocol.events import Event, event_json, with_field
from protocol.ids import Ref
from server.live.connection.codec import Codec
from storage.inbox import InboxEntry

_encode = msgspec.json.Encoder(order="deterministic").encode
_REDACTED = Raw(b'{"redacted":true}')


class _Body(Struct, frozen=True):
    """The fields of a numbered event frame after its number."""

    type: str
    entity: str
    version: int
    at: datetime
    cause: str
    data: Any


class _EphemeralBody(Struct, frozen=True):
    """The fields of an ephemeral event frame."""

    type: str
    entity: str
    at: datetime
    data: Any


class EventBody:
    """The body of a committed event, rendered for the first recipient."""

    __slots__ = ("_by_codec", "_json", "_published")

    def __init__(self, published: Published) -> None:
        self._published = published
        self._json = b""
        self._by_codec: dict[Codec, bytes] = {}

    @property
    def json(self) -> bytes:
        """The body as JSON."""
        if not self._json:
            self._json = render_published(self._published)
        return self._json

    def of(self, codec: Codec) -> bytes:
        """The body for a codec's ``event``."""
        body = self._by_codec.get(codec)
        if body is None:
            body = self._by_codec[codec] = codec.body(self.json)
        return body


def render_published(published: Published) -> bytes:
    """Render the body of a committed event."""
    emitted = published.emitted
    event, content = emitted.event, emitted.content
    data = _data(event, emitted.json, None if content is None else content.json)
    if published.version == 1:
        data = _with_first(data, published.to, event)
    return _encode(_Body(event.type, str(published.to), published.version, published.at, published.cause, data))


def render_entry(entry: InboxEntry, codec: Codec) -> bytes:
    """Render the frame of an event in the log."""
    if entry.event is None:
        data = _REDACTED
    elif isinstance(entry.event, Raw):
        data = entry.event
    else:
        fields = event_json(entry.event, entry.changes)
        data = _data(entry.event, fields, None if entry.content is None else _encode(entry.content))
        if entry.version == 1:
            data = _with_first(data, entry.to, entry.event)
    body = _Body(entry.type, str(entry.to), entry.version, entry.at, entry.cause, data)
    return codec.event(entry.seq, codec.body(_encode(body)))


def render_ephemeral(name: str, entity: Ref, at: datetime, data: dict[str, Any]) -> bytes:
    """Render the body of an ephemeral event."""
    return _encode(_EphemeralBody(name, str(entity), at, data))


def _data(event: Event, fields: bytes, content: bytes | None) -> Raw:
    """The event's fields, with its free text under ``content``, null once it is erased, and what to fetch again."""
    if event.content is not None:
        fields = with_field(fields, "content", content or b"null")
    if event.refetch:
        fields = with_field(fields, "refetch", _encode(event.refetch))
    return Raw(fields)


def _with_first(data: Raw, to: Ref, event: Event) -> Raw:
    """Add the whole public view to the first event of an entity; it follows from the event alone."""
    if event.noun != to.kind.value:
        return data
    actor = ACTORS[to.kind]
    public = actor.public(to.id, actor.apply(None, event))
    return data if public is None else Raw(with_field(bytes(data), "changes", _encode(public)))
