"""Terms of notification preferences: bounds, enums, small structs and refusals."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field

from protocol.delivery.channels import Channel

ZONE_DEFAULT = "UTC"


#: The hour of the daily digest on its reader's wall clock, unless they chose another.
DIGEST_HOUR_DEFAULT = 8


#: Types of notification that one person has wishes of their own for.
OVERRIDES_MAX = 64


#: A time of day on a wall clock.
LocalTime = Annotated[
    str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$(?!\n)", description="HH:MM", examples=["22:00"])
]


Overrides = Annotated[dict[str, tuple[Channel, ...]], Meta(max_length=OVERRIDES_MAX)]


DigestHour = Annotated[int, Meta(ge=0, le=23)]


class ContactMethod(StrEnum):
    """How somebody likes to be written to (rule N-2). PHONE: people may call, machines write e-mail."""

    WHATSAPP = "WHATSAPP"
    EMAIL = "EMAIL"
    PHONE = "PHONE"
    SMS = "SMS"


class Frequency(StrEnum):
    """How much somebody wants to hear (rule N-2). What is timely comes at once in any case."""

    #: What is not timely: in the day's digest, and no push.
    MINIMAL = "MINIMAL"
    #: What is not timely: in the day's digest.
    MODERATE = "MODERATE"
    #: Everything at once.
    FREQUENT = "FREQUENT"


class PartOfDay(StrEnum):
    """When somebody may be disturbed."""

    MORNING = "morning"
    AFTERNOON = "afternoon"
    EVENING = "evening"
    ANY = "any"


Parts = Annotated[tuple[PartOfDay, ...], Meta(max_length=len(PartOfDay))]


class ContactTimes(Struct, frozen=True, forbid_unknown_fields=True):
    """The parts of days in which somebody may be disturbed (rule N-2); an empty day is none."""

    weekdays: Parts
    weekends: Parts


class QuietHours(Struct, frozen=True, forbid_unknown_fields=True):
    """From a time of day until another, which may be the next day's."""

    from_time: LocalTime = field(name="from")
    until_time: LocalTime = field(name="until")
