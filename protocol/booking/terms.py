"""The words of a booking: statuses, phases, methods and reasons."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

#: A booking's human number as a person writes it; spelling is forgiven (``protocol.ids.read_number``).
BookingNumber = Annotated[str, Meta(min_length=1, max_length=20, examples=["7K3M-9QZD"])]


Notes = Annotated[str, Meta(max_length=2000)]


class BookingStatus(StrEnum):
    """Where a booking is in its life (rule B-1)."""

    PENDING = "PENDING"
    CONFIRMED = "CONFIRMED"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    DECLINED = "DECLINED"
    CANCELLED = "CANCELLED"
    CANCELLED_BY_SYSTEM = "CANCELLED_BY_SYSTEM"
    EXPIRED = "EXPIRED"
    #: The staff member did not start the job; set by the clock only.
    NO_SHOW = "NO_SHOW"


class Phase(StrEnum):
    """The four phases that an app shows (rule W-4)."""

    UPCOMING = "upcoming"
    ONGOING = "ongoing"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


PHASES: dict[BookingStatus, Phase] = {
    BookingStatus.PENDING: Phase.UPCOMING,
    BookingStatus.CONFIRMED: Phase.UPCOMING,
    BookingStatus.DECLINED: Phase.UPCOMING,
    BookingStatus.IN_PROGRESS: Phase.ONGOING,
    BookingStatus.COMPLETED: Phase.COMPLETED,
    BookingStatus.CANCELLED: Phase.CANCELLED,
    BookingStatus.CANCELLED_BY_SYSTEM: Phase.CANCELLED,
    BookingStatus.EXPIRED: Phase.CANCELLED,
    BookingStatus.NO_SHOW: Phase.CANCELLED,
}


class PaymentStatus(StrEnum):
    """What is known of the customer's payment."""

    UNPAID = "UNPAID"
    SECURED = "SECURED"
    REFUNDING = "REFUNDING"
    REFUNDED = "REFUNDED"


#: A booking in one of these needs its staff member.
NEEDS_STAFF = frozenset({BookingStatus.PENDING, BookingStatus.CONFIRMED, BookingStatus.IN_PROGRESS})

#: How long a slot is held for a payment.
PAYMENT_WINDOW = timedelta(minutes=15)
#: Unpaid holds that expired at one business within this time count against the next one.
EXPIRED_WITHIN = timedelta(days=1)


class DeclineReason(StrEnum):
    """Why a staff member refuses a job (rule B-16)."""

    SCHEDULE_CONFLICT = "SCHEDULE_CONFLICT"
    TOO_FAR = "TOO_FAR"
    UNWELL = "UNWELL"
    SAFETY = "SAFETY"
    SKILL_MISMATCH = "SKILL_MISMATCH"
    EQUIPMENT = "EQUIPMENT"
    OTHER = "OTHER"
    #: Nobody answered in time; only the server says so.
    NO_ANSWER = "NO_ANSWER"


class EscrowStatus(StrEnum):
    """Where the money of a booking is (rule M-4)."""

    #: Promised, and in escrow once it is paid.
    HELD = "HELD"
    PENDING_CLEARANCE = "PENDING_CLEARANCE"
    RELEASED = "RELEASED"
    #: Nothing is held any more: never paid, or refunded.
    VOIDED = "VOIDED"


class RemarkAbout(StrEnum):
    """What somebody gave words to."""

    DECLINE = "decline"
    CANCEL = "cancel"


class RemarkAudience(StrEnum):
    """Who may read a remark, beside its author."""

    PARTIES = "parties"
    #: Managers of the business only.
    BUSINESS = "business"


class ReleaseCause(StrEnum):
    """Why the money went to the business."""

    CUSTOMER = "customer"
    TIME = "time"


class CompletionCause(StrEnum):
    """Why a job counts as done."""

    PROVIDER = "provider"
    TIME = "time"
