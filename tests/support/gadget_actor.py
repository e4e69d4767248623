"""A sample noun, gadgets, with commands, queries and a real actor, for tests of the transports.

Its commands are registered only inside: ``with declared_gadgets(): …``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, Struct

from actors.actor import Actor, handles
from protocol.errors import NotFound, WrongState
from protocol.events import Event
from protocol.ids import BookingId, Kind
from protocol.registry import BY_NAME, BY_TYPE, Command, Procedure, Query, Route, View, Wire, command, procedure, query
from protocol.roles import ANYONE, INTERNAL, PUBLIC, Principal, Role
from server.edge.context import RequestContext
from storage.database import Pool
from tests.support.sample_decisions import sample_event

#: Its kind and key are those of a booking, since kinds are fixed.
KIND = Kind.BOOKING


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a gadget is made of."""

    name: str
    count: int = 1


class GadgetMade(View, frozen=True, kw_only=True):
    """The new gadget."""

    id: UUID
    label: str


class MakeGadget(Command, frozen=True, kw_only=True):
    """Make a gadget.

    It has a label, and parts if you like.
    """

    #: What is written on it.
    label: Annotated[str, Meta(max_length=40)]
    size: Annotated[int, Meta(ge=1, le=9)] = 1
    weight: int | None = None
    since: datetime | None = None
    parts: tuple[Part, ...] = ()


class RenameGadget(Command, frozen=True, kw_only=True):
    """Write another label on it."""

    booking_id: BookingId
    label: str


class RenameWire(Wire, frozen=True, kw_only=True, rename="camel"):
    """The same in the words of another document."""

    gadget_id: BookingId
    new_label: str

    def to_command(self) -> RenameGadget:
        if self.new_label == "forbidden":
            raise ValueError("this label never fits")
        return RenameGadget(booking_id=self.gadget_id, label=self.new_label)


class BreakGadget(Command, frozen=True, kw_only=True):
    """Break it, once."""

    booking_id: BookingId


class MeltGadget(Command, frozen=True, kw_only=True):
    """The server alone may melt it."""

    booking_id: BookingId


class GadgetView(View, frozen=True, kw_only=True):
    """One gadget."""

    id: UUID
    label: str
    version: int


class GetGadget(Query, frozen=True, kw_only=True):
    """One gadget, for all users."""

    booking_id: BookingId


class Order(StrEnum):
    """In which order gadgets are listed."""

    NEWEST = "newest"
    OLDEST = "oldest"


class AskedFor(View, frozen=True, kw_only=True):
    """What the list was asked for."""

    count: int
    near: float | None
    tags: list[str]
    order: str
    text: str
    signed_in: bool


class ListGadgets(Query, frozen=True, kw_only=True, rename="camel"):
    """Gadgets, to everybody."""

    #: How many at most.
    how_many: Annotated[int, Meta(ge=1, le=100)] = 20
    near: float | None = None
    tags: tuple[str, ...] = ()
    order: Order = Order.NEWEST
    text: str = ""


class Whoami(View, frozen=True, kw_only=True):
    """What a procedure knows of its request."""

    said: str
    user_id: UUID | None
    address: str
    user_agent: str
    language: str
    key: str | None


class Introduce(Procedure, frozen=True, kw_only=True):
    """Send a text, and get the context of the request."""

    said: str = ""


class Crash(Procedure, frozen=True, kw_only=True):
    """Fail as no procedure should."""

    how: str = "bug"


@sample_event("gadget.created")
class GadgetCreated(Event, frozen=True, kw_only=True):
    """It was made."""

    label: str


@sample_event("gadget.renamed")
class GadgetRenamed(Event, frozen=True, kw_only=True):
    """It has another label."""

    label: str


@sample_event("gadget.broken")
class GadgetBroken(Event, frozen=True, kw_only=True):
    """It broke."""


class GadgetState(Struct, frozen=True, kw_only=True):
    """The state of a gadget."""

    label: str
    broken: bool = False


class Gadget(Actor[GadgetState]):
    """A gadget; its events go only to the sender of the command."""

    kind = KIND
    state_type = GadgetState

    @handles(MakeGadget)
    def make(self, cmd: MakeGadget) -> GadgetMade:
        self.emit(GadgetCreated(label=cmd.label))
        return GadgetMade(id=self.actor_id, label=cmd.label)

    @handles(RenameGadget)
    def rename(self, cmd: RenameGadget) -> GadgetMade:
        assert self.state is not None
        self.emit(GadgetRenamed(label=cmd.label))
        return GadgetMade(id=self.actor_id, label=cmd.label)

    @handles(BreakGadget)
    def break_it(self, cmd: BreakGadget) -> None:
        if self.state.broken:
            raise WrongState(status="BROKEN")
        self.emit(GadgetBroken())

    @staticmethod
    def evolve(state: GadgetState | None, event: Event) -> GadgetState:
        match event:
            case GadgetCreated(label=label) | GadgetRenamed(label=label):
                return GadgetState(label=label)
            case _:
                assert state is not None
                return GadgetState(label=state.label, broken=True)


async def get_gadget(pool: Pool, asked: GetGadget, principal: Principal | None) -> GadgetView:
    """Read one gadget from its row."""
    row = await pool.fetchrow(
        "SELECT version, state->>'label' AS label FROM actors WHERE kind = $1 AND id = $2", KIND.value, asked.booking_id
    )
    if row is None:
        raise NotFound(entity="gadget")
    return GadgetView(id=asked.booking_id, label=row["label"], version=row["version"])


async def list_gadgets(pool: Pool, asked: ListGadgets, principal: Principal | None) -> AskedFor:
    """Say what was asked for."""
    return AskedFor(
        count=asked.how_many,
        near=asked.near,
        tags=list(asked.tags),
        order=asked.order.value,
        text=asked.text,
        signed_in=principal is not None,
    )


async def introduce(asked: Introduce, context: RequestContext) -> Whoami:
    """Say what there is to know of the request."""
    return Whoami(
        said=asked.said,
        user_id=context.principal.user_id if context.principal else None,
        address=context.address,
        user_agent=context.user_agent,
        language=context.language,
        key=context.key,
    )


async def crash(asked: Crash, context: RequestContext) -> Whoami:
    """Fail."""
    raise ConnectionRefusedError("no database") if asked.how == "outage" else RuntimeError("a bug")


QUERIES: dict[Any, Any] = {GetGadget: get_gadget, ListGadgets: list_gadgets}
PROCEDURES: dict[Any, Any] = {Introduce: introduce, Crash: crash}


MAKES = ("POST /gadgets/",)
RENAMES = ("POST /gadgets/{booking_id}/rename", Route("PUT", "/gadget-names/{gadget_id}/", RenameWire))
BREAKS = ("DELETE /gadgets/{booking_id}",)


def _declare() -> None:
    makes = command("gadget.make", actor=KIND, by=ANYONE, creates=True, status=201, routes=MAKES, reply=GadgetMade)
    makes(MakeGadget)
    command("gadget.rename", actor=KIND, by=ANYONE, routes=RENAMES, reply=GadgetMade)(RenameGadget)
    command("gadget.break", actor=KIND, by={Role.STAFF}, routes=BREAKS, errors=(WrongState,))(BreakGadget)
    command("gadget.melt", actor=KIND, by=INTERNAL)(MeltGadget)
    query("gadget.get", by=ANYONE, view=GadgetView, routes=["GET /gadgets/{booking_id}"])(GetGadget)
    query("gadget.list", by=PUBLIC, view=AskedFor, routes=["GET /gadgets/"])(ListGadgets)
    procedure("gadget.introduce", by=PUBLIC, reply=Whoami, routes=["POST /introduce", "GET /introduce"])(Introduce)
    procedure("gadget.crash", by=PUBLIC, reply=Whoami, routes=["POST /crash"])(Crash)


@contextmanager
def declared_gadgets() -> Iterator[None]:
    """Put the gadgets into the registry, and remove them again."""
    names, types = dict(BY_NAME), dict(BY_TYPE)
    _declare()
    try:
        yield
    finally:
        for registry, kept in ((BY_NAME, names), (BY_TYPE, types)):
            registry.clear()
            registry.update(kept)  # type: ignore[arg-type]  # each with its own copy
