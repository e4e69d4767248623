"""The inbox: each user's own numbered stream of events, read back with their rights checked again.

A row only points to its event. What it looked like when it was sent is made again from the journal and from the row of
free text that belongs to it, so what was erased since is gone from here too.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec
import structlog
from msgspec import Raw

from protocol.events import EVENTS, Event, Row
from protocol.frames import Position
from protocol.ids import Kind, Ref, UserId
from storage.database import Connection, Pool

log = structlog.get_logger(__name__)

#: The events behind a number, of each of many inboxes; those of actors at rest for long are in the archive,
#: which OFFSET 0 keeps from being asked for the others.
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
class Entry:
    """One event of one user's inbox."""

    seq: int
    to: Ref
    version: int
    at: datetime
    cause: str
    type: str
    #: The event, or its JSON if this server knows no such event; None: the user may not see it any more.
    event: Event | Raw | None
    #: The free text that belongs to it; None if there is none, or not any more.
    content: Row | None


class Behind(NamedTuple):
    """Whose events are wanted: those behind a number, so many at most."""

    user_id: UserId
    after: int
    rows_max: int


@dataclass(frozen=True, slots=True)
class Acked:
    """How far one device has got."""

    user_id: UserId
    device: str
    delivered: int
    seen: int


# Positions


async def position(conn: Connection | Pool, user_id: UserId) -> str:
    """Say where a user's inbox ends, as ``epoch:seq``, in the snapshot of the connection's transaction."""
    (found,) = await load_positions(conn, [user_id])
    return str(found)


async def load_positions(conn: Connection | Pool, user_ids: Sequence[UserId]) -> list[Position]:
    """Say where these users' inboxes end, in the order asked for."""
    rows = await conn.fetch(
        "SELECT e.epoch, coalesce(c.seq, 0) AS seq FROM (SELECT inbox_epoch() AS epoch) e"
        " CROSS JOIN unnest($1::uuid[]) WITH ORDINALITY w(user_id, ord)"
        " LEFT JOIN inbox_counters c ON c.user_id = w.user_id ORDER BY w.ord",
        user_ids,
    )
    return [Position(row["epoch"], row["seq"]) for row in rows]


# Events


async def read_page(pool: Pool, user_id: UserId, after: int, rows_max: int) -> list[Entry]:
    """Read a user's events behind a number, at most ``rows_max``, in order."""
    (page,) = await read_pages(pool, [Behind(user_id, after, rows_max)])
    return page


async def read_pages(pool: Pool, wanted: Sequence[Behind]) -> list[list[Entry]]:
    """Read the events of many inboxes, in the order asked for: in two statements, and one for each kind of text."""
    rows = await pool.fetch(PAGES, *map(list, zip(*wanted, strict=True)))
    seen_by = [(wanted[row["ord"] - 1].user_id, Ref(Kind(row["kind"]), row["id"])) for row in rows]
    visible = await who_may_see(pool, set(seen_by))
    events = [
        _event(row["type"], row["data"]) if seeing in visible and row["type"] is not None else None
        for row, seeing in zip(rows, seen_by, strict=True)
    ]
    contents = await _load_contents(pool, events)
    pages: list[list[Entry]] = [[] for _ in wanted]
    for row, (_, to), event in zip(rows, seen_by, events, strict=True):
        content = contents.get(_content_of(event))
        entry = Entry(row["seq"], to, row["version"], row["at"], row["cause"] or "", row["type"] or "", event, content)
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


#: Which row of free text: its class and its id.
_Content = tuple[type[Row], UUID]


def _content_of(event: Event | Raw | None) -> _Content | None:
    if isinstance(event, Event) and event.content is not None:
        return event.content, getattr(event, event.content_id)
    return None


async def _load_contents(pool: Pool, events: Collection[Event | Raw | None]) -> dict[_Content | None, Row]:
    """Read the free text that belongs to events, one statement a table."""
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


# Rights

#: Kind → the pairs of w(user_id, id) of which the user may see the entity. A user sees itself; every other kind needs
#: its line here.
_VISIBLE = {
    Kind.BOOKING: "JOIN bookings b ON b.id = w.id WHERE b.customer_id = w.user_id OR b.staff_id = w.user_id"
    " OR EXISTS (SELECT FROM members m WHERE m.business_id = b.business_id AND m.user_id = w.user_id"
    " AND m.manager AND m.active)",
    Kind.CONVERSATION: "WHERE EXISTS (SELECT FROM conversation_members c"
    " WHERE c.conversation_id = w.id AND c.user_id = w.user_id)",
    Kind.BUSINESS: "WHERE EXISTS (SELECT FROM members m"
    " WHERE m.business_id = w.id AND m.user_id = w.user_id AND m.active)",
    Kind.PAYMENT: "JOIN payments p ON p.id = w.id WHERE p.customer_id = w.user_id",
}


async def may_see(pool: Connection | Pool, user_id: UserId, refs: Collection[Ref]) -> set[Ref]:
    """Say which of these entities a user may see now. A kind without a rule is not seen at all."""
    visible = await who_may_see(pool, {(user_id, ref) for ref in refs})
    return {ref for _, ref in visible}


async def who_may_see(pool: Connection | Pool, pairs: Collection[tuple[UserId, Ref]]) -> set[tuple[UserId, Ref]]:
    """Say who of these may see what they are paired with, all in one statement."""
    visible = {(user_id, ref) for user_id, ref in pairs if ref.kind is Kind.USER and ref.id == user_id}
    wanted: defaultdict[Kind, tuple[list[UUID], list[UUID]]] = defaultdict(lambda: ([], []))
    for user_id, ref in pairs:
        if ref.kind in _VISIBLE:
            user_ids, ids = wanted[ref.kind]
            user_ids.append(user_id)
            ids.append(ref.id)
    if wanted:
        kinds = sorted(wanted)
        union = " UNION ALL ".join(
            f"SELECT '{kind.value}' AS kind, w.user_id, w.id"
            f" FROM unnest(${2 * n + 1}::uuid[], ${2 * n + 2}::uuid[]) w(user_id, id) {_VISIBLE[kind]}"
            for n, kind in enumerate(kinds)
        )
        rows = await pool.fetch(union, *[ids for kind in kinds for ids in wanted[kind]])
        visible.update((row["user_id"], Ref(Kind(row["kind"]), row["id"])) for row in rows)
    return visible


async def may_meet(pool: Connection | Pool, user_id: UserId, others: Collection[UserId]) -> set[UserId]:
    """Say of which people a user may know whether they are online: who shares a thread or a business, and itself."""
    rows = await pool.fetch(
        "SELECT o.id FROM unnest($2::uuid[]) o(id) WHERE o.id = $1"
        " OR EXISTS (SELECT FROM conversation_members a JOIN conversation_members b USING (conversation_id)"
        "            WHERE a.user_id = $1 AND b.user_id = o.id)"
        " OR EXISTS (SELECT FROM members a JOIN members b USING (business_id)"
        "            WHERE a.user_id = $1 AND a.active AND b.user_id = o.id AND b.active)",
        user_id,
        list(others),
    )
    return {row["id"] for row in rows}


# Acks


async def write_acks(pool: Pool, acks: Sequence[Acked]) -> None:
    """Keep how far devices have got; never moves back."""
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
