"""Decisions, and their effects as data. The commit writes all effects of a decision or none."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from msgspec import Struct
from msgspec.json import Encoder

from protocol.errors import Rejected
from protocol.events import Event, Row, event_json
from protocol.ids import AgendaId, BusinessId, Ref, UserId

#: In a fixed order, so that live and replayed events have equal bytes.
_encode = Encoder(order="deterministic").encode


class HoldStatus(StrEnum):
    """The status of a hold. HELD is not paid yet; POSTED and VOIDED are final."""

    HELD = "HELD"
    FUNDED = "FUNDED"
    PENDING_CLEARANCE = "PENDING_CLEARANCE"
    POSTED = "POSTED"
    VOIDED = "VOIDED"


class ReserveSlot(Struct, frozen=True):
    """Reserve a staff member's time ``[starts_at, ends_at)``, buffers included.

    Slots of one subject may overlap, so that a move can reserve its new time before the old one is released.
    """

    slot_id: UUID
    staff_id: UserId
    #: What the time is for: a booking, an order.
    subject: Ref
    starts_at: datetime
    ends_at: datetime


class FreeSlot(Struct, frozen=True):
    """Release a reserved slot."""

    slot_id: UUID


class UniqueKey(Struct, frozen=True):
    """A kind of key that only one actor may have, declared once with the refusal for a taken key."""

    #: Scope → declaration.
    declared: ClassVar[dict[str, "UniqueKey"]] = {}

    #: The scope in the table ``unique_keys``.
    scope: str
    taken: type[Rejected]

    def __post_init__(self) -> None:
        assert self.scope not in UniqueKey.declared, f"two unique keys have the scope {self.scope}"
        UniqueKey.declared[self.scope] = self


class ClaimKey(Struct, frozen=True):
    """Claim a unique key for an actor."""

    unique: UniqueKey
    key: str
    owner: UUID


class ReleaseKey(Struct, frozen=True):
    """Release a unique key."""

    unique: UniqueKey
    key: str


class Transfer(Struct, frozen=True):
    """Move an amount between two ledger accounts (named ``<what>/<owner>/<currency>``)."""

    transfer_id: UUID
    debit: str
    credit: str
    amount_minor: int
    currency: str
    reason: str


class OpenHold(Struct, frozen=True):
    """Open a hold for a business, with status HELD; it contains nothing until it is funded."""

    hold_id: UUID
    #: What is paid for: a booking, an order.
    subject: Ref
    business_id: BusinessId
    purpose: str
    currency: str
    amount_minor: int


class MoveHold(Struct, frozen=True):
    """Move a hold to its next status and change its amount. Claims that it still has the status ``was``."""

    hold_id: UUID
    was: HoldStatus
    becomes: HoldStatus
    delta_minor: int = 0


class Count(Struct, frozen=True):
    """Add to a counter (named ``<what>/<owner>/<currency>``), which saves summing rows."""

    counter: str
    delta: int


class PutRow(Struct, gc=False):
    """Write a read row, replacing the one with its key."""

    row: Row
    _json: bytes = b""

    @property
    def json(self) -> bytes:
        """The row as JSON, encoded once."""
        if not self._json:
            self._json = _encode(self.row)
        return self._json


class DropRow(Struct, frozen=True):
    """Delete the read row with this key."""

    table: str
    key: dict[str, str]


class SetTimer(Struct, frozen=True):
    """Send the actor itself a command at ``due_at``; replaces its timer of that name."""

    agenda_id: AgendaId
    name: str
    due_at: datetime
    command: Struct
    #: From then on it is skipped, and recorded as skipped. None: it fires however late.
    expires_at: datetime | None = None


class CancelTimer(Struct, frozen=True):
    """Cancel a timer; does nothing if there is none."""

    name: str


class Send(Struct, frozen=True):
    """Send another actor a one-way command after the commit, applied once."""

    agenda_id: AgendaId
    to: Ref
    command: Struct


Effect = (
    ReserveSlot
    | FreeSlot
    | ClaimKey
    | ReleaseKey
    | Transfer
    | OpenHold
    | MoveHold
    | Count
    | PutRow
    | DropRow
    | SetTimer
    | CancelTimer
    | Send
)


class Emitted(Struct, gc=False):
    """An event, and the users whose inboxes it goes to."""

    event: Event
    audience: tuple[UserId, ...]
    #: Free text that is shown with the event, but is not part of it.
    content: PutRow | None = None
    #: Public fields of the entity's view that changed; None: none did, or it is the entity's first event.
    changes: dict[str, Any] | None = None
    _json: bytes = b""

    @property
    def json(self) -> bytes:
        """The event and its changes as JSON, encoded once for the journal and all readers."""
        if not self._json:
            self._json = event_json(self.event, self.changes)
        return self._json


class Logged(Struct, frozen=True, gc=False):
    """The entry in the command log: sender, command id, command and reply."""

    principal: UserId
    key: str
    #: 16 bytes over the decoded command and its target.
    hash: bytes
    command: str
    refused: bool
    #: JSON: the reply's data, or ``{"code", "fields"}`` of the refusal.
    reply: bytes


class Decision(Struct, kw_only=True, gc=False):
    """The result of one turn of one actor, which the commit writes as a whole."""

    to: Ref
    at: datetime
    principal: UserId
    #: The command id that caused it.
    cause: str
    expected_version: int
    expected_stamp: int
    version: int
    stamp: int
    schema: int
    #: JSON; None: the row stays as it is (a refusal, or no event), but its version is checked.
    state: bytes | None
    emitted: list[Emitted]
    effects: list[Effect]
    log: Logged | None
    #: The agenda row that this turn consumes.
    fired: AgendaId | None = None

    @property
    def claims(self) -> bool:
        """Whether it has claims: then it must be the first decision of its actor in a batch."""
        if self.fired is not None:
            return True
        for effect in self.effects:  # noqa: SIM110  # any() would make a generator, and this runs for each message
            if type(effect) not in _PLAIN:
                return True
        return False

    def builds_on(self, before: "Decision") -> bool:
        """Whether it was decided on the version and stamp after ``before``, which a refused one leaves as they are."""
        if before.state is None:
            found = before.expected_version, before.expected_stamp
        else:
            found = before.version, before.stamp
        return (self.expected_version, self.expected_stamp) == found

    @property
    def inbox_count(self) -> int:
        """The number of inbox rows that it writes."""
        emitted = self.emitted
        return len(emitted[0].audience) if len(emitted) == 1 else sum([len(one.audience) for one in emitted])

    @property
    def own(self) -> int | None:
        """The index of the sender's own inbox row, the last one if there are several; None: there is none."""
        own, at, sender = None, 0, self.principal.int  # as ints, since UUIDs compare in Python
        for emitted in self.emitted:
            for user_id in emitted.audience:
                if user_id.int == sender:
                    own = at
                at += 1
        return own


#: Effects that claim nothing: decisions of one actor that have only these may share a batch.
_PLAIN = (PutRow, DropRow, Send, Count)
