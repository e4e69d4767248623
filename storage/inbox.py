"""The inbox: each user's own numbered stream of events; a read checks the user's present rights.

A row only refers to its event. The event is rendered again from the journal and from its row of free text, so text that
was erased meanwhile is not shown.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import structlog
from msgspec import Raw, Struct

from protocol.events import EVENTS, Event, Row
from protocol.frames import Position
from protocol.ids import Kind, Ref, UserId
from storage.database import Connection, Pool
from storage.rights import who_may_see

log = structlog.get_logger(__name__)

#: The events after a ``seq``, of each of many inboxes. Events of actors at rest are in the archive; OFFSET 0 keeps the
#: planner from searching the archive for the other ones.
PAGES = """
SELECT w.ord, i.seq, i.kind, i.id, i.version, i.at, coalesce(h.type, a.type) AS type,
       coalesce(h.data, a.data)::text AS data, coalesce(h.cause, a.cause) AS cause
  FROM unnest($1::uuid[], $2::bigint[], $3::int[]) WITH ORDINALITY w(user_id, after, rows_max, ord)
 CROSS JOIN LATERAL (
    SELECT * FROM inbox x WHERE x.user_id = w.user_id AND x.seq > w.after ORDER BY x.seq LIMIT w.rows_max) i
  LEFT JOIN journal h ON h.kind = i.kind AND h.id = i.id AND h.version = i.version
  LEFT JOIN LATERAL (
    SELECT types[nth] AS type, datas[nth] AS data, causes[nth] AS cause
      FROM journal_archive, CAST(i.version - first_version + 1 AS int) nth
     WHERE h.version IS NULL AND kind = i.kind AND id = i.id AND i.version BETWEEN first_version AND last_version
    OFFSET 0) a
    ON true
 ORDER BY w.ord, i.seq
"""


@dataclass(frozen=True, slots=True)
class InboxEntry:
    """One event of one user's inbox."""

    seq: int
    to: Ref
    version: int
    at: datetime
    cause: str
    type: str
    #: The event, or its JSON if this server does not know its type; None: the user may not see it any more.
    event: Event | Raw | None
    #: The public fields of the entity's view that changed; None: none were stored.
    changes: dict[str, Any] | None
    #: Its free text; None: there is none, or it was erased.
    content: Row | None


class InboxRange(NamedTuple):
    """A range of one user's inbox: the events after a ``seq``, at most ``rows_max``."""

    user_id: UserId
    after: int
    rows_max: int


@dataclass(frozen=True, slots=True)
class Acked:
    """The last events that one device has received and its user has seen."""

    user_id: UserId
    device: str
    delivered: int
    seen: int


# Positions


async def position(conn: Connection | Pool, user_id: UserId) -> str:
    """Return the end of a user's inbox, as ``epoch:seq``, in the snapshot of the connection's transaction."""
    (found,) = await load_positions(conn, [user_id])
    return str(found)


async def load_positions(conn: Connection | Pool, user_ids: Sequence[UserId]) -> list[Position]:
    """Return the ends of these users' inboxes, in the order asked for."""
    rows = await conn.fetch(
        "SELECT e.epoch, coalesce(c.seq, 0) AS seq FROM (SELECT inbox_epoch() AS epoch) e"
        " CROSS JOIN unnest($1::uuid[]) WITH ORDINALITY w(user_id, ord)"
        " LEFT JOIN inbox_counters c ON c.user_id = w.user_id ORDER BY w.ord",
        user_ids,
    )
    return [Position(row["epoch"], row["seq"]) for row in rows]


# Events


async def read_pages(pool: Pool, wanted: Sequence[InboxRange]) -> list[list[InboxEntry]]:
    """Read ranges of many inboxes, in the order asked for: two statements, and one for each kind of text."""
    rows = await pool.fetch(PAGES, *map(list, zip(*wanted, strict=True)))
    seen_by = [(wanted[row["ord"] - 1].user_id, Ref(Kind(row["kind"]), row["id"])) for row in rows]
    visible = await who_may_see(pool, set(seen_by))
    events = [
        _event(row["type"], row["data"]) if seeing in visible and row["type"] is not None else None
        for row, seeing in zip(rows, seen_by, strict=True)
    ]
    contents = await _load_contents(pool, events)
    pages: list[list[InboxEntry]] = [[] for _ in wanted]
    for row, (_, to), event in zip(rows, seen_by, events, strict=True):
        entry = InboxEntry(
            seq=row["seq"],
            to=to,
            version=row["version"],
            at=row["at"],
            cause=row["cause"] or "",
            type=row["type"] or "",
            event=event,
            changes=_decode_changes(row["data"]).changes
            if isinstance(event, Event) and _CHANGES in row["data"]
            else None,
            content=contents.get(_content_of(event)),
        )
        pages[row["ord"] - 1].append(entry)
    return pages


def _event(name: str, data: str) -> Event | Raw:
    cls = EVENTS.get(name)
    if cls is not None:
        try:
            return msgspec.json.decode(data, type=cls)
        except msgspec.ValidationError as error:
            log.warning("inbox.event_unreadable", action="pass_on", type=name, error=str(error))
    return Raw(data.encode())


class _Changes(Struct):
    """The journal's data beside an event's own fields."""

    changes: dict[str, Any] | None = None


_CHANGES = '"changes"'
_decode_changes = msgspec.json.Decoder(_Changes).decode

#: A row of free text: its class and its id.
_Content = tuple[type[Row], UUID]


def _content_of(event: Event | Raw | None) -> _Content | None:
    if isinstance(event, Event) and event.content is not None:
        return event.content, getattr(event, event.content_id)
    return None


async def _load_contents(pool: Pool, events: Collection[Event | Raw | None]) -> dict[_Content | None, Row]:
    """Read the free texts of events, one statement for each table."""
    wanted: defaultdict[type[Row], set[UUID]] = defaultdict(set)
    for event in events:
        content = _content_of(event)
        if content is not None:
            wanted[content[0]].add(content[1])
    found: dict[_Content | None, Row] = {}
    for cls, ids in wanted.items():
        (key,) = cls.key
        rows = await pool.fetch(
            f"SELECT t.{key} AS id, row_to_json(t)::text AS row FROM {cls.table} t WHERE t.{key} = ANY($1::uuid[])",
            list(ids),
        )
        for row in rows:
            found[cls, row["id"]] = msgspec.json.decode(row["row"], type=cls)
    return found


# Acks


async def write_acks(pool: Pool, acks: Sequence[Acked]) -> None:
    """Store the acks of devices; they never move back."""
    await pool.execute(
        "INSERT INTO inbox_acks AS a (user_id, device, delivered, seen, at)"
        " SELECT w.user_id, w.device, w.delivered, w.seen, now()"
        " FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[]) w(user_id, device, delivered, seen)"
        " ORDER BY w.user_id, w.device"
        " ON CONFLICT (user_id, device) DO UPDATE SET delivered = greatest(a.delivered, excluded.delivered),"
        " seen = greatest(a.seen, excluded.seen), at = excluded.at",
        [ack.user_id for ack in acks],
        [ack.device for ack in acks],
        [ack.delivered for ack in acks],
        [ack.seen for ack in acks],
    )
