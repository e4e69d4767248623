"""``server replay``: an actor's journal, the state that it leads to, and whether that is the one that is kept."""

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
from protocol.ids import SYSTEM, Kind, Ref, UserId
from protocol.instants import InstantError, parse_instant
from protocol.payment.terms import GATEWAY
from server.edge.config import ServerConfig
from server.ops.config import DatabaseConfig
from server.ops.verify_command import reach_database
from storage.database import Pool
from storage.queries.replay import JournalEvent, StoredState, load_state, read_journal
from storage.queries.user import load_names
from storage.verify import JournalEntry, snapshot

#: Events that are shown, the latest of those asked for; all are replayed.
SHOWN_MAX = 1_000

REFUSED, DIFFERS = 2, 1


class CannotReplay(Exception):
    """The request cannot be met; the message says why."""


@dataclass(frozen=True, slots=True)
class Until:
    """Up to where to go: an instant, a version, or, with neither, the end."""

    at: datetime | None = None
    version: int | None = None

    def includes(self, event: JournalEvent) -> bool:
        """Whether an event had happened by then."""
        if self.at is not None:
            return event.at <= self.at
        return self.version is None or event.version <= self.version


@dataclass(slots=True)
class History:
    """One actor's journal, replayed."""

    to: Ref
    kept: StoredState
    replay: Replay
    #: The last of the events up to where it was asked for, and how many there were.
    events: deque[JournalEvent] = field(default_factory=lambda: deque(maxlen=SHOWN_MAX))
    count: int = 0
    #: The state there; None if the replay stopped before.
    state: Any = None
    #: Why the replay stopped, if it did.
    error: str = ""
    same: bool = False


async def run_replay(
    server: ServerConfig,
    database: DatabaseConfig,
    console: Console,
    what: str,
    until: tuple[str, int | None],
    *,
    as_json: bool,
) -> int:
    """Replay one actor and show it; returns the exit code.

    Args:
        what: ``kind/id``.
        until: an instant, or empty; a version, or None.
    """
    try:
        to, asked = read_ref(what), read_until(*until)
        async with reach_database(server, database) as pool:
            history = await replay_actor(pool, to, asked)
            names = await load_names(pool, {event.principal for event in history.events})
    except CannotReplay as error:
        console.print(Text(str(error), style="red"))
        return REFUSED
    if as_json:
        print_json(history, names, console)
    else:
        print_tables(history, names, console)
    return 0 if history.same else DIFFERS


# What is asked for


def read_ref(what: str) -> Ref:
    """Read ``kind/id``. Raises: CannotReplay."""
    kind, slash, id_ = what.partition("/")
    kinds = ", ".join(one.value for one in Kind)
    if not slash:
        raise CannotReplay(f"{what}: an actor is named by kind/id; kinds are {kinds}")
    if kind not in {one.value for one in Kind}:
        raise CannotReplay(f"{kind}: no kind of actor; there are {kinds}")
    try:
        return Ref(Kind(kind), UUID(id_))
    except ValueError:
        raise CannotReplay(f"{id_}: no id; an id is a UUID") from None


def read_until(at: str, version: int | None) -> Until:
    """Read an instant or a version. Raises: CannotReplay."""
    if at and version is not None:
        raise CannotReplay("--at and --version: one of them is enough")
    if version is not None and version < 1:
        raise CannotReplay(f"version {version}: the first event is version 1")
    try:
        return Until(parse_instant(at) if at else None, version)
    except InstantError:
        raise CannotReplay(f"{at}: no instant; one is written 2026-03-29T14:00:00Z, with an offset or Z") from None


# The replay


async def replay_actor(pool: Pool, to: Ref, until: Until) -> History:
    """Replay a journal to its end, keeping what was there at the point asked for. Raises: CannotReplay."""
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
        raise CannotReplay(f"{to}: there is none")
    if first is not None and not history.count:
        raise CannotReplay(f"{to}: its first event was at {_time(first.at)}")
    if until.version is not None and until.version > last:
        raise CannotReplay(f"{to}: its last version is {last}")
    history.same = not history.error and last == history.kept.version and _gives(history)
    return history


def _add(history: History, event: JournalEvent, here: bool) -> None:
    """Take one more event; ``here`` if it is one of those asked for."""
    if not history.error:
        try:
            history.replay.add(JournalEntry(event.version, event.type, event.schema, event.data))
        except Exception as error:  # a broken event may raise anything; that is the finding
            history.error = f"version {event.version}, {event.type}: {error!r}"
    if here:
        history.events.append(event)
        history.count += 1
        history.state = None if history.error else history.replay.state


def _gives(history: History) -> bool:
    try:
        return history.replay.gives(history.kept.state)
    except msgspec.MsgspecError as error:
        history.error = f"the state that is kept cannot be read: {error}"
        return False


# What is shown


def print_tables(history: History, names: Mapping[UserId, str], console: Console) -> None:
    """Show the journal as a table, then the state, then whether it is the one that is kept."""
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
    if history.same:
        console.print(
            Text(f"replayed to its end, version {history.kept.version}, it is the state that is kept", "green")
        )
    else:
        console.print(Text("replayed to its end, it is not the state that is kept:", style="red"))
        console.print(Text(f"version {history.kept.version} {history.kept.state}"))


def print_json(history: History, names: Mapping[UserId, str], console: Console) -> None:
    """The same for programs."""
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
        "kept": {"version": history.kept.version, "state": Raw(history.kept.state.encode())},
        "same": history.same,
        "error": history.error or None,
    }
    text = msgspec.json.format(msgspec.json.encode(shown), indent=2).decode()
    console.print(text, soft_wrap=True, markup=False, highlight=False)


def _who(principal: UserId, names: Mapping[UserId, str]) -> str:
    """A name where one is known; never more of a person than that."""
    known = {SYSTEM: "the server", GATEWAY: "the payment gateway", **names}
    return known.get(principal, str(principal))


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")
