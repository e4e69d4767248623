"""The catalogue: every command, query and procedure is declared once, and everything else is derived from it.

A declaration is a frozen msgspec struct under one of three decorators. From it come decoding and validation, the
REST routes, the WebSocket command, the OpenAPI document and the permission matrix.

    @command("booking.decline", actor=Kind.BOOKING, routes=("POST /bookings/{booking_id}/decline",), by={Role.STAFF})
    class DeclineBooking(Command):
        \"\"\"The assigned staff member refuses the job.\"\"\"
        booking_id: BookingId
        reason_code: DeclineReason
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, TypeVar
from uuid import UUID

from msgspec import Meta, Struct

from protocol.errors import Forbidden, Rejected
from protocol.ids import Kind
from protocol.rates import Rate
from protocol.roles import Principal, Role

PAGE_LIMIT_MAX = 100
PAGE_LIMIT_DEFAULT = 20
#: How many rows of a list somebody wants.
PageLimit = Annotated[int, Meta(ge=1, le=PAGE_LIMIT_MAX)]


class Command(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """A wish to change something, sent to one actor. Named in the imperative."""


class Query(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A question; answered from the tables, never by an actor."""


class Procedure(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A REST call that the server itself carries out around commands (sign-in hashes, then opens a session)."""


class View(Struct, frozen=True, kw_only=True):
    """Something shown to a client."""


class Done(View, frozen=True):
    """The empty answer: it is done."""


class Mode(StrEnum):
    """What a declaration is."""

    COMMAND = "command"
    QUERY = "query"
    PROCEDURE = "procedure"


@dataclass(frozen=True, slots=True)
class Route:
    """One REST route: ``POST /bookings/{booking_id}/decline``; path parameters are fields of the struct."""

    method: str
    path: str
    #: An app's own body shape (rule W-5); its ``to_command`` makes the declared struct. None: the struct itself.
    wire: type["Wire"] | None = None

    @property
    def params(self) -> tuple[str, ...]:
        return tuple(re.findall(r"{(\w+)}", self.path))


class Wire(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A body as an app writes it, for a command that has another shape inside. Path parameters are fields too."""

    def to_command(self) -> Command:
        """Say the same as the declared command."""
        raise NotImplementedError


StructType = type[Struct]
Refusals = tuple[type[Rejected], ...]


@dataclass(frozen=True, slots=True)
class Declaration:
    """What the catalogue knows of one command, query or procedure."""

    mode: Mode
    name: str
    type: type[Struct]
    routes: tuple[Route, ...]
    by: frozenset[Role]
    reply: StructType
    #: Which kind of actor decides; None for queries and procedures.
    actor: Kind | None = None
    #: The field that names the actor; None: see ``addressee``.
    key: str | None = None
    creates: bool = False
    status: int = 200
    errors: Refusals = ()
    #: Of a command that has one of its own, beside that of all commands.
    rate: Rate | None = None

    @property
    def doc(self) -> str:
        return (self.type.__doc__ or "").strip()

    def addressee(self, command: Struct, principal: Principal) -> UUID | None:
        """Say which actor decides a command: the one that it names, else the sender's own; None: a new one.

        The sender's own business is the acting one. Raises: Forbidden, for somebody who acts for none.
        """
        if self.creates:
            return None
        if self.key is not None:
            named: UUID = getattr(command, self.key)
            return named
        if self.actor is Kind.BUSINESS:
            if principal.business_id is None:
                raise Forbidden(reason="no_business")
            return principal.business_id
        return principal.user_id


#: name → declaration, and type → declaration.
BY_NAME: dict[str, Declaration] = {}
BY_TYPE: dict[type[Struct], Declaration] = {}

T = TypeVar("T", bound=type[Struct])


def command(
    name: str,
    *,
    actor: Kind,
    by: Iterable[Role],
    routes: Iterable[str | Route] = (),
    reply: type[Struct] = Done,
    creates: bool = False,
    status: int = 200,
    errors: Iterable[type[Rejected]] = (),
    rate: Rate | None = None,
) -> Callable[[T], T]:
    """Declare a command to one actor.

    Args:
        actor: the kind of actor. The field ``<kind>_id`` names it, unless the command ``creates`` it or lacks that
            field: then it goes to the sender's own user actor, or acting business.
        by: the roles that may send it at all; the actor checks the object.
        routes: ``"METHOD /path/{field}"``, the first one being the canonical one.
        errors: the refusals worth documenting beside the general ones.
        rate: how often one user may send it, over all transports; None: as often as any command. Counted when it is
            sent, whatever comes of it: a retry of what was answered already counts too.
    """

    def declare(cls: T) -> T:
        annotated = cls.__annotations__
        key = f"{actor.value}_id"
        sender = actor in (Kind.USER, Kind.BUSINESS)
        assert sender or creates or key in annotated, f"{name} names no {actor.value}"
        _add(
            Declaration(
                mode=Mode.COMMAND,
                name=name,
                type=cls,
                routes=_routes(routes),
                by=frozenset(by),
                reply=reply,
                actor=actor,
                key=None if creates or key not in annotated else key,
                creates=creates,
                status=status,
                errors=tuple(errors),
                rate=rate,
            )
        )
        return cls

    return declare


def query(
    name: str,
    *,
    by: Iterable[Role],
    view: type[Struct],
    routes: Iterable[str | Route] = (),
    errors: Iterable[type[Rejected]] = (),
) -> Callable[[T], T]:
    """Declare a question and the view that answers it."""

    def declare(cls: T) -> T:
        _add(
            Declaration(
                mode=Mode.QUERY,
                name=name,
                type=cls,
                routes=_routes(routes),
                by=frozenset(by),
                reply=view,
                errors=tuple(errors),
            )
        )
        return cls

    return declare


def procedure(
    name: str,
    *,
    by: Iterable[Role],
    reply: type[Struct],
    routes: Iterable[str | Route],
    status: int = 200,
    errors: Iterable[type[Rejected]] = (),
) -> Callable[[T], T]:
    """Declare a REST call that the server carries out itself."""

    def declare(cls: T) -> T:
        _add(
            Declaration(
                mode=Mode.PROCEDURE,
                name=name,
                type=cls,
                routes=_routes(routes),
                by=frozenset(by),
                reply=reply,
                status=status,
                errors=tuple(errors),
            )
        )
        return cls

    return declare


def _routes(routes: Iterable[str | Route]) -> tuple[Route, ...]:
    return tuple(route if isinstance(route, Route) else _route(route) for route in routes)


def _route(text: str) -> Route:
    method, path = text.split(" ", 1)
    return Route(method, path)


def _add(declaration: Declaration) -> None:
    if declaration.name in BY_NAME:
        raise AssertionError(f"{declaration.name} is declared twice")
    BY_NAME[declaration.name] = BY_TYPE[declaration.type] = declaration


def name_of(cls: type[Any]) -> str:
    """The wire name of a declared struct."""
    return BY_TYPE[cls].name
