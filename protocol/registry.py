"""The registry: every command, query and procedure is declared once.

A declaration is a frozen msgspec struct under one of three decorators. Decoding and validation, the REST routes, the
WebSocket command, the OpenAPI document and the permission matrix are derived from it.

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
#: The rows of one page of a list.
PageLimit = Annotated[int, Meta(ge=1, le=PAGE_LIMIT_MAX)]


class Command(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """A request to change something, sent to one actor. Named in the imperative."""


class Query(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A request to read something; it reads the tables and never passes through an actor."""


class Procedure(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A REST call that the server carries out by commands of its own (sign-in opens a session)."""


class View(Struct, frozen=True, kw_only=True):
    """Data returned to a client."""


class Done(View, frozen=True):
    """The empty reply of a command that succeeded."""


class Mode(StrEnum):
    """The kind of a declaration."""

    COMMAND = "command"
    QUERY = "query"
    PROCEDURE = "procedure"


@dataclass(frozen=True, slots=True)
class Route:
    """One REST route: ``POST /bookings/{booking_id}/decline``; path parameters are fields of the struct."""

    method: str
    path: str
    #: A body of another shape, for one app (rule W-5), with ``to_command``. None: the body is the declared struct.
    wire: type["Wire"] | None = None

    @property
    def params(self) -> tuple[str, ...]:
        return tuple(re.findall(r"{(\w+)}", self.path))


class Wire(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A body in the shape of one app, for a command with another shape. Path parameters are fields too."""

    def to_command(self) -> Command:
        """Return the declared command."""
        raise NotImplementedError


StructType = type[Struct]
Refusals = tuple[type[Rejected], ...]


@dataclass(frozen=True, slots=True)
class Declaration:
    """The declaration of one command, query or procedure."""

    mode: Mode
    name: str
    type: type[Struct]
    routes: tuple[Route, ...]
    by: frozenset[Role]
    reply: StructType
    #: The kind of actor that decides; None for queries and procedures.
    actor: Kind | None = None
    #: The field with the actor's id; None: see ``addressee``.
    key: str | None = None
    creates: bool = False
    status: int = 200
    errors: Refusals = ()
    #: The rate of this command or query, in addition to that of all of them; None: it has none of its own.
    rate: Rate | None = None
    #: Its rate for all callers together.
    rate_in_all: Rate | None = None

    @property
    def doc(self) -> str:
        return (self.type.__doc__ or "").strip()

    def addressee(self, command: Struct, principal: Principal) -> UUID | None:
        """Return the actor that decides a command: the one that it names, else the sender's own; None: a new one.

        The sender's own business is the acting business. Raises: Forbidden, if there is none.
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
        by: the roles that may send it; the actor checks the rights on the entity.
        routes: ``"METHOD /path/{field}"``; the first one is canonical.
        errors: the refusals to document in addition to the general ones.
        rate: how often one user may send it, over all transports; None: only the rate of all commands applies. Every
            command sent counts, refused ones and retries included.
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
    rate: Rate | None = None,
    rate_in_all: Rate | None = None,
) -> Callable[[T], T]:
    """Declare a query and the view that it returns.

    Args:
        rate: how often one user, or one address without a token, may run it, over all transports.
        rate_in_all: how often one node runs it for all of them together.
    """

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
                rate=rate,
                rate_in_all=rate_in_all,
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
