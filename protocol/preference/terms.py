"""Terms of notification preferences: bounds, enums, small structs and refusals."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field

from protocol.delivery.channels import Channel

ZONE_DEFAULT = "UTC"


#: The default hour of the daily digest in its reader's zone.
DIGEST_HOUR_DEFAULT = 8


#: Notification types that one user may set channels for.
OVERRIDES_MAX = 64


#: A time of day on a wall clock.
LocalTime = Annotated[
    str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$(?!\n)", description="HH:MM", examples=["22:00"])
]


Overrides = Annotated[dict[str, tuple[Channel, ...]], Meta(max_length=OVERRIDES_MAX)]


DigestHour = Annotated[int, Meta(ge=0, le=23)]


class ContactMethod(StrEnum):
    """A user's preferred written channel. PHONE: people may call; the server sends e-mail (rule N-2)."""

    WHATSAPP = "WHATSAPP"
    EMAIL = "EMAIL"
    PHONE = "PHONE"
    SMS = "SMS"


class Frequency(StrEnum):
    """How many messages a user wants. Timely notifications are sent at once in any case (rule N-2)."""

    #: Ordinary notifications: in the daily digest, without push.
    MINIMAL = "MINIMAL"
    #: Ordinary notifications: in the daily digest.
    MODERATE = "MODERATE"
    #: Everything at once.
    FREQUENT = "FREQUENT"


class PartOfDay(StrEnum):
    """A part of the day in which a user may be disturbed."""

    MORNING = "morning"
    AFTERNOON = "afternoon"
    EVENING = "evening"
    ANY = "any"


Parts = Annotated[tuple[PartOfDay, ...], Meta(max_length=len(PartOfDay))]


class ContactTimes(Struct, frozen=True, forbid_unknown_fields=True):
    """The parts of days in which a user may be disturbed; an empty list means never."""

    weekdays: Parts
    weekends: Parts


class QuietHours(Struct, frozen=True, forbid_unknown_fields=True):
    """From a time of day until another, which may be on the next day."""

    from_time: LocalTime = field(name="from")
    until_time: LocalTime = field(name="until")
