"""``server replay``: replays an actor's journal, and compares the resulting state with the stored one."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Raw
from rich.console import Console
from rich.table import Table
from rich.text import Text

from actors.actor import ACTORS
from actors.runtime.replay import Replay
from protocol.ids import SYSTEM, Kind, Ref, UserId, read_number
from protocol.instants import InstantError, parse_instant
from protocol.payment.terms import GATEWAY
from server.edge.config import ServerConfig
from server.ops.config import DatabaseConfig
from server.ops.verify_command import reach_database
from storage.database import Pool
from storage.queries.replay import JournalEvent, StoredState, booking_ids, load_state, read_journal
from storage.queries.user import load_names
from storage.verify import JournalEntry, snapshot

#: Events that are shown, the latest ones of the range; all are replayed.
SHOWN_MAX = 1_000

REFUSED, DIFFERS = 2, 1


class CannotReplay(Exception):
    """The arguments are invalid, or there is no such actor or version; the message says which."""


@dataclass(frozen=True, slots=True)
class Until:
    """The end of the range to show: an instant, a version, or, with neither, the journal's end."""

    at: datetime | None = None
    version: int | None = None

    def includes(self, event: JournalEvent) -> bool:
        """Whether an event is within the range."""
        if self.at is not None:
            return event.at <= self.at
        return self.version is None or event.version <= self.version


@dataclass(slots=True)
class History:
    """An actor's replayed journal."""

    to: Ref
    stored: StoredState
    replay: Replay
    #: The last events of the range, and the number of all of them.
    events: deque[JournalEvent] = field(default_factory=lambda: deque(maxlen=SHOWN_MAX))
    count: int = 0
    #: The state at the end of the range; None if the replay stopped before.
    state: Any = None
    #: Why the replay stopped, if it did.
    error: str = ""
    matches: bool = False


async def run_replay(
    server: ServerConfig,
    database: DatabaseConfig,
    console: Console,
    what: str,
    until: tuple[str, int | None],
    *,
    as_json: bool,
) -> int:
    """Replay one actor and print the history; returns the exit code.

    Args:
        what: ``kind/id``, or ``booking/number``.
        until: an instant, or empty; a version, or None.
    """
    try:
        asked = read_until(*until)
        async with reach_database(server, database) as pool:
            to = await find_actor(pool, what)
            history = await replay_actor(pool, to, asked)
            names = await load_names(pool, {event.principal for event in history.events})
    except CannotReplay as error:
        console.print(Text(str(error), style="red"))
        return REFUSED
    if as_json:
        print_json(history, names, console)
    else:
        print_tables(history, names, console)
    return 0 if history.matches else DIFFERS


# Arguments


def read_ref(what: str) -> Ref:
    """Read ``kind/id``. Raises: CannotReplay."""
    kind, slash, id_ = what.partition("/")
    kinds = ", ".join(one.value for one in Kind)
    if not slash:
        raise CannotReplay(f"{what}: an actor is named by kind/id; kinds are {kinds}")
    if kind not in {one.value for one in Kind}:
        raise CannotReplay(f"{kind}: not a kind of actor; kinds are {kinds}")
    try:
        return Ref(Kind(kind), UUID(id_))
    except ValueError:
        raise CannotReplay(f"{id_}: not an id; an id is a UUID, or a booking's number") from None


async def find_actor(pool: Pool, what: str) -> Ref:
    """Find the actor of ``kind/id``, or a booking by its human number. Raises: CannotReplay."""
    kind, _, name = what.partition("/")
    number = read_number(name) if kind == Kind.BOOKING else None
    if number is None:
        return read_ref(what)
    ids = await booking_ids(pool, number)
    if not ids:
        raise CannotReplay(f"{number}: no such booking")
    if len(ids) > 1:
        raise CannotReplay(f"{number}: several bookings have this number: {', '.join(map(str, ids))}")
    return Ref(Kind.BOOKING, ids[0])


def read_until(at: str, version: int | None) -> Until:
    """Read an instant or a version. Raises: CannotReplay."""
    if at and version is not None:
        raise CannotReplay("--at and --version: give only one of them")
    if version is not None and version < 1:
        raise CannotReplay(f"version {version}: the first event is version 1")
    try:
        return Until(parse_instant(at) if at else None, version)
    except InstantError:
        raise CannotReplay(f"{at}: not an instant; write it like 2026-03-29T14:00:00Z, with an offset or Z") from None


# The replay


async def replay_actor(pool: Pool, to: Ref, until: Until) -> History:
    """Replay a journal to its end, keeping the state at the end of the range. Raises: CannotReplay."""
    async with snapshot(pool) as connection:
        kept = await load_state(connection, to)
        history = History(to, kept or StoredState(version=0, schema=1, state="null"), Replay(ACTORS[to.kind]))
        first: JournalEvent | None = None
        last, here = 0, True
        async for event in read_journal(connection, to):
            first, last = first or event, event.version
            here = here and until.includes(event)
            _add(history, event, here)
    if first is None and kept is None:
        raise CannotReplay(f"{to}: no such actor")
    if first is not None and not history.count:
        raise CannotReplay(f"{to}: its first event was at {_time(first.at)}")
    if until.version is not None and until.version > last:
        raise CannotReplay(f"{to}: its last version is {last}")
    history.matches = not history.error and last == history.stored.version and _matches(history)
    return history


def _add(history: History, event: JournalEvent, here: bool) -> None:
    """Apply one more event; ``here`` if it is within the range."""
    if not history.error:
        try:
            history.replay.add(JournalEntry(event.version, event.type, event.schema, event.data))
        except Exception as error:  # an old or broken event may raise anything; the error is part of the history
            history.error = f"version {event.version}, {event.type}: {error!r}"
    if here:
        history.events.append(event)
        history.count += 1
        history.state = None if history.error else history.replay.state


def _matches(history: History) -> bool:
    try:
        return history.replay.gives(history.stored.state)
    except msgspec.MsgspecError as error:
        history.error = f"the stored state cannot be decoded: {error}"
        return False


# Output


def print_tables(history: History, names: Mapping[UserId, str], console: Console) -> None:
    """Print the journal as a table, then the state, then whether it matches the stored one."""
    table = Table("version", "at", "type", "who", "data", box=None, header_style="bold", pad_edge=False)
    for event in history.events:
        cells = str(event.version), _time(event.at), event.type, _who(event.principal, names), event.data
        table.add_row(*[Text(cell, overflow="fold") for cell in cells])
    console.print(Text(str(history.to), style="bold"))
    if history.count > len(history.events):
        console.print(f"{history.count - len(history.events)} earlier events are not shown")
    console.print(table)
    if history.events:
        console.print(Text(f"\nthe state at version {history.events[-1].version}", style="bold"))
    console.print(Text(msgspec.json.format(msgspec.json.encode(history.state), indent=2).decode()))
    if history.error:
        console.print(Text(history.error, style="red"))
    if history.matches:
        console.print(Text(f"the replayed state matches the stored one, version {history.stored.version}", "green"))
    else:
        console.print(Text("the replayed state differs from the stored one:", style="red"))
        console.print(Text(f"version {history.stored.version} {history.stored.state}"))


def print_json(history: History, names: Mapping[UserId, str], console: Console) -> None:
    """Print the history as JSON."""
    events: list[dict[str, Any]] = [
        {
            "version": event.version,
            "at": event.at,
            "type": event.type,
            "schema": event.schema,
            "principal": event.principal,
            "who": _who(event.principal, names),
            "cause": event.cause,
            "data": Raw(event.data.encode()),
        }
        for event in history.events
    ]
    shown = {
        "actor": str(history.to),
        "left_out": history.count - len(events),
        "events": events,
        "state": history.state,
        "kept": {"version": history.stored.version, "state": Raw(history.stored.state.encode())},
        "same": history.matches,
        "error": history.error or None,
    }
    text = msgspec.json.format(msgspec.json.encode(shown), indent=2).decode()
    console.print(text, soft_wrap=True, markup=False, highlight=False)


def _who(principal: UserId, names: Mapping[UserId, str]) -> str:
    """The user's name if it is known, else the id; no other personal data."""
    known = {SYSTEM: "the server", GATEWAY: "the payment gateway", **names}
    return known.get(principal, str(principal))


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")
