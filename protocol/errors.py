"""All errors, as one tree of stable codes and typed fields. Their texts are in ``server``.

GuildwireError
├── Rejected                   expected; the command's outcome; stored, so that a retry is refused as well
│   ├── Invalid           422  invalid input; ``fields`` maps each field to its problem
│   ├── Unauthenticated   401
│   ├── Forbidden         403
│   ├── NotFound          404
│   ├── Conflict          409  WrongState, SlotTaken, EmailTaken, …
│   └── LimitReached      429
└── Fault                      infrastructure; nothing was decided; a retry is decided
    ├── Busy              503
    ├── InFlight          409  the same command id is still being decided
    └── Internal          500  our bug
"""

import re
from typing import Any, ClassVar, Self
from uuid import UUID

#: The default ``retry_after_s``.
RETRY_AFTER_S = 1.0

_CAMEL = re.compile(r"(?<!^)(?=[A-Z])")


#: code → class, for stored refusals.
ERRORS: dict[str, type["GuildwireError"]] = {}


class GuildwireError(Exception):
    """The root: a machine-readable ``code``, an HTTP ``status``, and fields for the texts."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, /, **fields: Any) -> None:
        super().__init__(self.code, fields)
        self.fields = fields

    def __init_subclass__(cls) -> None:
        cls.code = _CAMEL.sub("_", cls.__name__).lower()
        assert cls.code not in ERRORS, f"the error {cls.code} is declared twice"
        ERRORS[cls.code] = cls

    def __str__(self) -> str:
        return f"{self.code} {self.fields}" if self.fields else self.code


class Rejected(GuildwireError):
    """The command is refused; nothing has changed."""

    status = 409
    #: Whose account it was about, if known; for the log, never on the wire.
    user_id: UUID | None = None

    def about(self, user_id: UUID) -> Self:
        """The same error, with the user for the log."""
        self.user_id = user_id
        return self


class Invalid(Rejected):
    """Invalid input. The fields map a field's path to its problem."""

    status = 422


class Malformed(Rejected):
    """Not JSON, or not a valid frame or body."""

    status = 400


class Unauthenticated(Rejected):
    """No token, or an invalid one. ``reason`` says which."""

    status = 401


class Forbidden(Rejected):
    """The principal may not do this. ``reason`` says why, where that reveals nothing."""

    status = 403


class NotFound(Rejected):
    """The entity does not exist, or the principal may not see it."""

    status = 404


class LimitReached(Rejected):
    """A limit was reached; ``limit`` names it, ``retry_after_s`` says when to retry."""

    status = 429


class Conflict(Rejected):
    """The command does not fit the present state."""


class WrongState(Conflict):
    """The entity's status does not allow the command. Fields: ``status``."""


class TooEarly(Conflict):
    """The step is possible later. Fields: ``earliest_at``."""


class VersionMismatch(Conflict):
    """The entity does not have the version of ``if_version``. Fields: ``version``."""


class SlotTaken(Conflict):
    """The staff member's time is taken."""


class OwnBooking(Conflict):
    """An unpaid booking of the customer's own is at that time. Fields: ``booking_id``, ``number``."""


class TermsChanged(Conflict):
    """The booking would have other terms than the customer saw. Fields: the present ones, ``total_amount``,
    ``total_amount_minor``, ``currency``, ``start_at``, ``end_at`` and ``staff_id``.
    """


class NoStaffFree(Conflict):
    """No staff member of the service is free at that time."""


class SlotUnavailable(Conflict):
    """The time cannot be booked; ``reason`` says why (closed, lead_time, staff_off, busy …)."""


class PairBlocked(Conflict):
    """The business has blocked the customer."""


class EmailTaken(Conflict):
    """Another account has this e-mail address."""


class InsufficientFunds(Conflict):
    """The account's balance is below the amount."""


class HoldSpent(Conflict):
    """The hold was released or refunded before."""


class ConversationClosed(Conflict):
    """The conversation is read-only."""


class CommandIdReused(Rejected):
    """The command id was used before for another command."""

    status = 422


class Fault(GuildwireError):
    """Infrastructure failed; nothing was decided, so a retry is decided."""

    status = 503


class Busy(Fault):
    """A bounded queue is full. Fields: ``retry_after_s``."""


class Unavailable(Fault):
    """The database does not answer. Fields: ``retry_after_s``."""


class InFlight(Fault):
    """The same command id is still being decided. Fields: ``retry_after_s``."""

    status = 409


class Internal(Fault):
    """A bug of the server; the log has it under ``incident``."""

    status = 500


def revive(code: str, fields: dict[str, Any]) -> GuildwireError:
    """Make an error from its stored code and fields."""
    return ERRORS.get(code, Rejected)(**fields)
