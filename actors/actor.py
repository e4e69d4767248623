"""The base of every actor: a pure core that turns a command into events and effects.

A handler first guards (``require``, raising a ``Rejected``), then looks at its facts, then emits. State changes only in
``apply``, so replaying an actor's events gives its state. An actor awaits nothing, reads no clock and draws no
randomness: the turn brings the time and the new ids.

An actor is one class, and parts: modules of functions that take the actor, each with a struct of its own in the state.

    @actor(Kind.USER)
    class User(Actor[UserState]):
        parts = (devices, codes)

A part names its field of the state (``FIELD``; a part without one has no state of its own) and marks its functions:
``@handles`` a command, ``@applies`` an event to that field, ``@derives`` effects from what a turn changed. Two handlers
of a command, and two arms of an event, are refused when the class is made.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import ModuleType
from typing import Any, ClassVar, Generic, TypeVar, final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

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
    UniqueKey,
)
from protocol.errors import NotFound, WrongState
from protocol.events import Event, Row
from protocol.ids import AgendaId, Kind, Ref, UserId
from protocol.notification.rows import OutboxEntry
from protocol.notification.types import NotificationType, Party
from protocol.registry import Command
from protocol.roles import Principal

#: Bounds of one turn: its events, its effects (read rows included), and the recipients of one event.
EVENTS_MAX = 16
EFFECTS_MAX = 128
RECIPIENTS_MAX = 64

S = TypeVar("S", bound=Struct)
A = TypeVar("A", bound=Callable[..., Any])
C = TypeVar("C", bound="type[Actor[Any]]")

Reply = Struct | None

#: Kind → actor class, of the actors that are imported so far.
ACTORS: dict[Kind, "type[Actor[Any]]"] = {}


class Turn(Struct, frozen=True):
    """What one turn brings into the pure core."""

    now: datetime
    principal: Principal
    new_id: Callable[[], UUID]
    #: The actor's version before the turn.
    version: int = 0


class Handler(Struct, frozen=True):
    """How an actor handles one type of command."""

    command: type[Command]
    #: The struct that is loaded before the turn; None: the state is enough.
    facts: type[Struct] | None
    #: Returns what to load, from the actor's state and the command. May refuse.
    asks: Callable[..., Any]
    call: Callable[..., Reply]


def _command_itself(actor: "Actor[Any]", command: Command) -> Command:
    return command


def handles(
    command: type[Command], *, facts: type[Struct] | None = None, asks: Callable[..., Any] = _command_itself
) -> Callable[[A], A]:
    """Mark the handler of a command: a method, or a function of a part that takes the actor first.

    Args:
        facts: a protocol struct that is loaded before the turn and passed to the handler.
        asks: takes the actor and the command, and returns the key by which ``facts`` are loaded: an id or a protocol
            struct. Default: the command itself.
    """

    def mark(handler: A) -> A:
        handler.handles = Handler(command, facts, asks, handler)  # type: ignore[attr-defined]  # functions take attributes
        return handler

    return mark


def applies(*events: type[Event]) -> Callable[[A], A]:
    """Mark an arm of a part: a pure function that takes the part's struct and the event and returns the new struct."""

    def mark(arm: A) -> A:
        arm.applies = events  # type: ignore[attr-defined]  # functions take attributes
        return arm

    return mark


def derives(derive: A) -> A:
    """Mark a function of a part that adds effects at the end of a turn with events.

    It takes the actor and the state from before the turn, None for a new actor.
    """
    derive.derives = True  # type: ignore[attr-defined]  # functions take attributes
    return derive


def actor(kind: Kind) -> Callable[[C], C]:
    """Register the one actor class of a kind."""

    def register(cls: C) -> C:
        assert kind not in ACTORS, f"{ACTORS[kind].__name__} and {cls.__name__} are both of kind {kind}"
        cls.kind = kind
        ACTORS[kind] = cls
        return cls

    return register


class Actor(Generic[S]):
    """One turn of one actor: created for a command, and discarded after its decision."""

    kind: ClassVar[Kind]
    schema: ClassVar[int] = 1
    state_type: ClassVar[type[Struct]]
    #: Modules whose marked functions belong to this actor.
    parts: ClassVar[tuple[ModuleType, ...]] = ()
    handlers: ClassVar[dict[type[Command], Handler]]
    #: Event → field of the state, and the arm that changes it; without a field the arm takes the state.
    arms: ClassVar[dict[type[Event], tuple[str | None, Callable[[Any, Any], Any]]]]
    derivations: ClassVar[tuple[Callable[..., None], ...]]

    def __init__(self, actor_id: UUID, state: S | None, turn: Turn) -> None:
        self.actor_id = actor_id
        self.now = turn.now
        self.principal = turn.principal
        self.new_id = turn.new_id
        self._version = turn.version
        self.emitted: list[Emitted] = []
        self.effects: list[Effect] = []
        self._state = self._before = state

    def __init_subclass__(cls) -> None:
        assert "emit" not in vars(cls), f"{cls.__name__} may not change how events are emitted"
        named = {name: value for base in reversed(cls.__mro__) for name, value in vars(base).items()}
        own = list(named.values())
        cls.handlers, cls.arms = {}, {}
        for name, marked in [(cls.__name__, own), *((part.__name__, list(vars(part).values())) for part in cls.parts)]:
            for handler in (one.handles for one in marked if hasattr(one, "handles")):
                clash = cls.handlers.get(handler.command)
                assert clash is None, f"{name} and {clash} handle {handler.command.__name__}"
                cls.handlers[handler.command] = handler
        for part in cls.parts:
            for arm in (one for one in vars(part).values() if hasattr(one, "applies")):
                for event in arm.applies:
                    assert event not in cls.arms, f"{part.__name__}: a second arm for {event.type}"
                    cls.arms[event] = getattr(part, "FIELD", None), arm
        cls.derivations = tuple(one for part in cls.parts for one in vars(part).values() if hasattr(one, "derives"))

    @property
    def ref(self) -> Ref:
        """The actor's address."""
        return Ref(self.kind, self.actor_id)

    @property
    def exists(self) -> bool:
        """Whether the actor has any event."""
        return self._state is not None

    @property
    def state(self) -> S:
        """The current state within the turn. Raises: NotFound, for an actor that does not exist."""
        if self._state is None:
            raise NotFound(entity=self.kind.value, id=str(self.actor_id))
        return self._state

    @final
    @classmethod
    def apply(cls, state: Any, event: Event) -> Any:
        """The state after the event; pure. ``state`` is None before the first event."""
        arm = cls.arms.get(type(event))
        if arm is None:
            return cls.evolve(state, event)
        assert state is not None, f"{event.type} before a {cls.kind.value} was made"
        field, change = arm
        return replace(state, **{field: change(getattr(state, field), event)}) if field else change(state, event)

    @staticmethod
    def evolve(state: Any, event: Event) -> Any:
        """The state after an event that no part has an arm for. Raises: AssertionError, for an unknown event."""
        raise NotImplementedError

    @staticmethod
    def public(actor_id: UUID, state: Any) -> Struct | None:
        """The fields of the entity's view that are the same for all who may see it; None: it has no such view.

        Each event carries the changes of these fields. They therefore hold neither contact data nor private notes,
        and only text that the journal may keep.
        """
        return None

    def audience(self) -> Iterable[UserId]:
        """The default recipients of this actor's events."""
        return ()

    def parties(self) -> Mapping[Party, Iterable[UserId]]:
        """The users of each party, by which notifications find their recipients."""
        return {}

    def rows(self) -> Iterable[Row]:
        """The read rows derived from the state; written with every decision that emits."""
        return ()

    # Guards

    def require(self, *statuses: Any) -> None:
        """Refuse unless the status is one of these. Raises: WrongState."""
        status = self.state.status  # type: ignore[attr-defined]  # only actors with a status call this
        if status not in statuses:
            raise WrongState(status=str(status))

    # Events and effects

    @final
    def emit(
        self,
        event: Event,
        *,
        to: Iterable[UserId] | None = None,
        content: Row | None = None,
        content_is_kept: bool = False,
    ) -> None:
        """Record an event and apply it to the state.

        Args:
            to: the users whose inboxes it goes to; None: the actor's audience after the event.
            content: the row of free text shown with the event, as long as that row exists.
            content_is_kept: the row exists already and may be erased at any time, so it is not written again.
        """
        before, changes = self._state, None
        former = self.audience() if event.public and before is not None else ()
        self._state = self.apply(before, event)
        recipients = self.audience() if to is None else to
        audience = tuple(recipients if isinstance(recipients, dict) else dict.fromkeys(recipients))
        assert len(audience) <= RECIPIENTS_MAX, f"{event.type} has {len(audience)} recipients"
        if event.public and before is not None:
            joined = former is not recipients and not set(audience) <= set(former)
            changes = self._changes(before, joined=joined)
        shown = None if content is None else PutRow(content)
        self.emitted.append(Emitted(event, audience, shown, changes))
        if shown is not None and not content_is_kept:
            self.effects.append(shown)
        if event.tell is not None:
            self._notify(event, event.tell)

    def _changes(self, before: S, *, joined: bool) -> dict[str, Any] | None:
        """The changed fields of the public view, or all fields if a user joins; None: nothing changed.

        The first event of an entity carries no changes: the renderer builds the whole view from it.
        """
        was, now = self.public(self.actor_id, before), self.public(self.actor_id, self._state)
        if was is None or now is None or (was == now and not joined):
            return None
        names = now.__struct_fields__
        return {name: getattr(now, name) for name in names if joined or getattr(now, name) != getattr(was, name)}

    def _notify(self, event: Event, notification: NotificationType) -> None:
        """Write the outbox entry with the recipients of the notification, except the user who caused the event."""
        if notification.when is not None and not notification.when(event):
            return
        parties = self.parties()
        named = dict.fromkeys(user_id for party in notification.to for user_id in parties.get(party, ()))
        own = None if notification.even_by_self else self.principal.user_id
        recipients = tuple(user_id for user_id in named if user_id != own)
        if recipients:
            self.put(
                OutboxEntry(
                    id=self.new_id(),
                    type=notification.name,
                    kind=self.kind.value,
                    entity_id=self.actor_id,
                    version=self._version + len(self.emitted),
                    event=event,
                    recipients=recipients,
                    at=self.now,
                )
            )

    def finish(self) -> None:
        """Add the read rows and the effects that parts derive. Called once, after the handler."""
        if self.emitted:
            for derive in self.derivations:
                derive(self, self._before)
            for row in self.rows():
                self.put(row)

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
            expires_at: from then on the timer is skipped; None: it fires however late.
        """
        self.effects.append(SetTimer(AgendaId(self.new_id()), name, due_at, command, expires_at))

    def cancel_timer(self, name: str) -> None:
        """Cancel a timer, if it exists."""
        self.effects.append(CancelTimer(name))

    def reserve(self, slot_id: UUID, staff_id: UserId, starts_at: datetime, ends_at: datetime) -> None:
        """Reserve a staff member's time for this actor; the command is refused with SlotTaken if it is not free."""
        self.effects.append(ReserveSlot(slot_id, staff_id, self.ref, starts_at, ends_at))

    def free(self, slot_id: UUID) -> None:
        """Release reserved time."""
        self.effects.append(FreeSlot(slot_id))

    def claim_key(self, unique: UniqueKey, key: str) -> None:
        """Claim a unique key for this actor; the command is refused with ``unique.taken`` if another actor has it."""
        self.effects.append(ClaimKey(unique, key, self.actor_id))

    def release_key(self, unique: UniqueKey, key: str) -> None:
        """Release a unique key."""
        self.effects.append(ReleaseKey(unique, key))

    def transfer(self, debit: str, credit: str, amount_minor: int, currency: str, reason: str) -> None:
        """Transfer money between two accounts; an amount of 0 adds no transfer."""
        assert amount_minor >= 0, f"{reason}: {amount_minor}"
        if amount_minor:
            self.effects.append(Transfer(self.new_id(), debit, credit, amount_minor, currency, reason))

    def open_hold(self, hold: OpenHold) -> None:
        """Promise an amount to a business."""
        self.effects.append(hold)

    def move_hold(self, move: MoveHold) -> None:
        """Move a hold to its next status; the command is refused with HoldSpent if it has left the expected one."""
        self.effects.append(move)
