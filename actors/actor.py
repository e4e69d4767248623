"""The base of every actor: a pure core that turns a command into events and effects.

A handler first guards (``require``, raising a ``Rejected``), then looks at its facts, then emits. State changes only in
``apply``, so replaying an actor's events gives its state. An actor awaits nothing, reads no clock and draws no
randomness: the turn brings the time and the new ids.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from msgspec import Struct

from protocol.effects import (
    CancelTimer,
    ClaimKey,
    DropRow,
    Effect,
    Emitted,
    FreeSlot,
    MoveHold,
    OpenHold,
    PutRow,
    ReleaseKey,
    ReserveSlot,
    Send,
    SetTimer,
    Transfer,
)
from protocol.errors import NotFound, WrongState
from protocol.events import Event, Row
from protocol.ids import AgendaId, Kind, Ref, UserId
from protocol.notification.rows import OutboxEntry
from protocol.notification.types import DRIVEN_BY, Party
from protocol.registry import Command
from protocol.roles import Principal

EVENTS_MAX = 16
EFFECTS_MAX = 128
RECIPIENTS_MAX = 64

S = TypeVar("S", bound=Struct)
C = TypeVar("C", bound=Command)
A = TypeVar("A")

Reply = Struct | None


class Turn(Struct, frozen=True):
    """What one turn brings into the pure core."""

    now: datetime
    principal: Principal
    new_id: Callable[[], UUID]
    #: The actor's version before the turn.
    version: int = 0


class Handler(Struct, frozen=True):
    """How an actor answers one type of command."""

    command: type[Command]
    facts: type[Struct] | None
    call: Callable[..., Reply]


def handles(command: type[Command], *, facts: type[Struct] | None = None) -> Callable[[A], A]:
    """Mark a method as the handler of a command; with ``facts`` it gets that struct, loaded before the turn."""

    def mark(method: A) -> A:
        method.handles = Handler(command, facts, method)  # type: ignore[attr-defined, arg-type]  # a function takes attributes
        return method

    return mark


class Actor(Generic[S]):
    """One turn of one actor: made for a command, asked for its decision, thrown away."""

    kind: ClassVar[Kind]
    schema: ClassVar[int] = 1
    state_type: ClassVar[type[Struct]]
    handlers: ClassVar[dict[type[Command], Handler]]

    def __init__(self, actor_id: UUID, state: S | None, turn: Turn) -> None:
        self.actor_id = actor_id
        self.now = turn.now
        self.principal = turn.principal
        self.new_id = turn.new_id
        self._version = turn.version
        self.emitted: list[Emitted] = []
        self.effects: list[Effect] = []
        self._state = state

    def __init_subclass__(cls) -> None:
        inherited = [vars(base) for base in reversed(cls.__mro__)]
        marked = [method.handles for names in inherited for method in names.values() if hasattr(method, "handles")]
        cls.handlers = {handler.command: handler for handler in marked}

    @property
    def ref(self) -> Ref:
        """Its address."""
        return Ref(self.kind, self.actor_id)

    @property
    def exists(self) -> bool:
        """Whether anything ever happened to it."""
        return self._state is not None

    @property
    def state(self) -> S:
        """The state as of this moment of the turn. Raises NotFound for an actor that never was."""
        if self._state is None:
            raise NotFound(entity=self.kind.value, id=str(self.actor_id))
        return self._state

    @staticmethod
    def apply(state: Any, event: Event) -> Any:
        """The state after the event; pure. ``state`` is None before the first event."""
        raise NotImplementedError

    def audience(self) -> Iterable[UserId]:
        """Who hears of this actor's events unless ``emit`` says otherwise."""
        return ()

    def parties(self) -> Mapping[Party, Iterable[UserId]]:
        """Who has which part in it, for those who are to be told of an event."""
        return {}

    def rows(self) -> Iterable[Row]:
        """The read rows that follow from the state; written with every decision that emits."""
        return ()

    # Guards

    def require(self, *statuses: Any) -> None:
        """Refuse unless the status is one of these. Raises: WrongState."""
        status = self.state.status  # type: ignore[attr-defined]  # only actors with a life cycle call this
        if status not in statuses:
            raise WrongState(status=str(status))

    # What happened, and what is wanted

    def emit(
        self,
        event: Event,
        *,
        to: Iterable[UserId] | None = None,
        content: Row | None = None,
        content_is_kept: bool = False,
    ) -> None:
        """Let the event have happened.

        Args:
            to: the users whose inboxes it goes to; None: the actor's audience after the event.
            content: free text that belongs to it, shown with it as long as that row exists.
            content_is_kept: the row was written before, and may be erased at any time: it is not written again.
        """
        self._state = self.apply(self._state, event)
        told = self.audience() if to is None else to
        audience = tuple(told if isinstance(told, dict) else dict.fromkeys(told))
        assert len(audience) <= RECIPIENTS_MAX, f"{event.type} has {len(audience)} recipients"
        shown = None if content is None else PutRow(content)
        self.emitted.append(Emitted(event, audience, shown))
        if shown is not None and not content_is_kept:
            self.effects.append(shown)
        if type(event) in DRIVEN_BY:
            self._announce(event)

    def _announce(self, event: Event) -> None:
        """Have everybody told whom the event's notification is for, save whoever caused it."""
        told = DRIVEN_BY[type(event)]
        if told.when is not None and not told.when(event):
            return
        parties = self.parties()
        named = dict.fromkeys(user_id for party in told.to for user_id in parties.get(party, ()))
        own = None if told.even_by_self else self.principal.user_id
        recipients = tuple(user_id for user_id in named if user_id != own)
        if recipients:
            self.put(
                OutboxEntry(
                    id=self.new_id(),
                    type=told.name,
                    kind=self.kind.value,
                    entity_id=self.actor_id,
                    version=self._version + len(self.emitted),
                    event=event,
                    recipients=recipients,
                    at=self.now,
                )
            )

    def put(self, row: Row) -> None:
        """Write a row."""
        self.effects.append(PutRow(row))

    def drop(self, table: str, **key: UUID | str) -> None:
        """Delete a row; the key's columns in the order of the table's primary key."""
        self.effects.append(DropRow(table, {name: str(value) for name, value in key.items()}))

    def send(self, to: Ref, command: Command) -> None:
        """Send another actor a one-way command after the commit."""
        self.effects.append(Send(AgendaId(self.new_id()), to, command))

    def set_timer(self, name: str, due_at: datetime, command: Command, *, expires_at: datetime | None = None) -> None:
        """Send the command to this actor itself at ``due_at``; replaces the timer of that name.

        Args:
            expires_at: from then on it is skipped; None fires however late.
        """
        self.effects.append(SetTimer(AgendaId(self.new_id()), name, due_at, command, expires_at))

    def cancel_timer(self, name: str) -> None:
        """Take a timer back, if there is one."""
        self.effects.append(CancelTimer(name))

    def reserve(self, slot_id: UUID, staff_id: UserId, starts_at: datetime, ends_at: datetime) -> None:
        """Claim a staff member's time for this actor; the command is refused with SlotTaken if it is not free."""
        self.effects.append(ReserveSlot(slot_id, staff_id, self.ref, starts_at, ends_at))

    def free(self, slot_id: UUID) -> None:
        """Give claimed time back."""
        self.effects.append(FreeSlot(slot_id))

    def claim_key(self, scope: str, key: str) -> None:
        """Claim a name for this actor that only one may have."""
        self.effects.append(ClaimKey(scope, key, self.actor_id))

    def release_key(self, scope: str, key: str) -> None:
        """Give the name back."""
        self.effects.append(ReleaseKey(scope, key))

    def transfer(self, debit: str, credit: str, amount_minor: int, currency: str, reason: str) -> None:
        """Move money between two accounts; nothing happens for an amount of 0."""
        assert amount_minor >= 0, f"{reason}: {amount_minor}"
        if amount_minor:
            self.effects.append(Transfer(self.new_id(), debit, credit, amount_minor, currency, reason))

    def open_hold(self, hold: OpenHold) -> None:
        """Promise an amount to a business."""
        self.effects.append(hold)

    def move_hold(self, move: MoveHold) -> None:
        """Take a hold to its next status; refused with HoldSpent if it has left the first one."""
        self.effects.append(move)
