"""Everything that can go wrong, as one tree of stable codes and typed fields. Texts are made in ``server``.

GuildwireError
├── Rejected                   expected; the command's outcome; logged, so that a retry is refused alike
│   ├── Invalid           422  the input does not fit; ``fields`` names each field and its problem
│   ├── Unauthenticated   401
│   ├── Forbidden         403
│   ├── NotFound          404
│   ├── Conflict          409  WrongState, SlotTaken, EmailTaken, …
│   └── LimitReached      429
└── Fault                      infrastructure; nothing was decided; a retry runs anew
    ├── Busy              503
    ├── InFlight          409  the same command id is still being decided
    └── Internal          500  our bug
"""

import re
from typing import Any, ClassVar

#: How long a caller waits before the next try, where nothing better is known.
RETRY_AFTER_S = 1.0

_CAMEL = re.compile(r"(?<!^)(?=[A-Z])")


#: code → class, for rendering a stored refusal again.
ERRORS: dict[str, type["GuildwireError"]] = {}


class GuildwireError(Exception):
    """The root: a machine ``code``, an HTTP ``status`` and fields for whoever renders it."""

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


class Invalid(Rejected):
    """Input that does not fit. ``fields`` maps a field's path to what is wrong with it."""

    status = 422


class Malformed(Rejected):
    """Not JSON, or not the frame or body that was announced."""

    status = 400


class Unauthenticated(Rejected):
    """No token, or one that does not hold. ``reason`` says which."""

    status = 401


class Forbidden(Rejected):
    """Known who you are, and you may not. ``reason`` says why where that gives nothing away."""

    status = 403


class NotFound(Rejected):
    """No such thing, or nothing that you may see."""

    status = 404


class LimitReached(Rejected):
    """A named limit stands in the way; ``limit`` names it, ``retry_after_s`` says when to come again."""

    status = 429


class Conflict(Rejected):
    """The world is not as the command supposes."""


class WrongState(Conflict):
    """The entity's status does not allow the command. Fields: ``status``."""


class VersionMismatch(Conflict):
    """``if_version`` was given and the entity has moved on. Fields: ``version``."""


class SlotTaken(Conflict):
    """Somebody else holds the staff member's time."""


class NoStaffFree(Conflict):
    """Nobody who offers the service is free then."""


class SlotUnavailable(Conflict):
    """The time cannot be booked; ``reason`` says why (closed, lead_time, staff_off, busy …)."""


class PairBlocked(Conflict):
    """Customer and business do not deal with each other any more."""


class EmailTaken(Conflict):
    """The address belongs to an account already."""


class InsufficientFunds(Conflict):
    """The account does not hold the amount."""


class HoldSpent(Conflict):
    """The hold was released or refunded before."""


class ConversationClosed(Conflict):
    """The thread is read-only."""


class CommandIdReused(Rejected):
    """The command id was used before for something else."""

    status = 422


class Fault(GuildwireError):
    """Infrastructure failed; nothing was decided, a retry runs anew."""

    status = 503


class Busy(Fault):
    """A bounded queue is full. Fields: ``retry_after_s``."""


class Unavailable(Fault):
    """The database does not answer. Fields: ``retry_after_s``."""


class InFlight(Fault):
    """The same command id is still being decided. Fields: ``retry_after_s``."""

    status = 409


class Internal(Fault):
    """Our bug; the log has it under ``incident``."""

    status = 500


def revive(code: str, fields: dict[str, Any]) -> GuildwireError:
    """Make the error again from its stored code and fields."""
    return ERRORS.get(code, Rejected)(**fields)
