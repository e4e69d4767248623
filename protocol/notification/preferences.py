"""How somebody wants to be reached: on which channels, when, and how often (SPEC §7, seed 004 phase 1)."""

from enum import StrEnum
from typing import Annotated, ClassVar

from msgspec import Meta, Struct, field

from protocol.catalogue import Command, Query, Route, View, Wire, command, query
from protocol.errors import Invalid, NotFound
from protocol.events import Event, Row
from protocol.ids import Kind, UserId
from protocol.instants import ZoneName
from protocol.notification.catalogue import Importance
from protocol.notification.channels import Channel
from protocol.roles import ANYONE, CUSTOMERS, INTERNAL, PROVIDERS
from protocol.user import Confidential, Language, Person

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
    """How somebody likes to be written to (seed 004 phase 1). PHONE: people may call, machines write e-mail."""

    WHATSAPP = "WHATSAPP"
    EMAIL = "EMAIL"
    PHONE = "PHONE"
    SMS = "SMS"


class Frequency(StrEnum):
    """How much somebody wants to hear (seed 004 phase 1). What is timely comes at once in any case."""

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
    """The parts of days in which somebody may be disturbed (seed 004 phase 1); an empty day is none."""

    weekdays: Parts
    weekends: Parts


class QuietHours(Struct, frozen=True, forbid_unknown_fields=True):
    """From a time of day until another, which may be the next day's."""

    from_time: LocalTime = field(name="from")
    until_time: LocalTime = field(name="until")


class NotificationPreferences(Row, frozen=True, kw_only=True):
    """What one person wishes; who never said anything has the defaults."""

    table: ClassVar[str] = "notification_preferences"
    key: ClassVar[tuple[str, ...]] = ("user_id",)

    user_id: UserId
    zone: str = ZONE_DEFAULT
    quiet_hours: QuietHours | None = None
    #: Type of notification → the channels wanted of those that it has; a type that is not there goes by all of them.
    channels: dict[str, tuple[Channel, ...]] = field(default_factory=dict)
    frequency: Frequency = Frequency.MODERATE
    contact_method: ContactMethod | None = None
    #: None: at any time.
    contact_times: ContactTimes | None = None
    digest_hour: int = DIGEST_HOUR_DEFAULT


class PreferenceFacts(Confidential, Struct, frozen=True, kw_only=True):
    """What deciding about somebody's preferences rests on."""

    person: Person
    preferences: NotificationPreferences
    #: Whether the business that the sender acts for has a booking with them. May be stale: bookings are not undone.
    is_customer: bool


class NotificationPreferencesSet(Event, frozen=True, kw_only=True):
    """Somebody's preferences were set; what they are is to be asked for."""

    by: UserId


@command(
    "notification.set_preferences",
    actor=Kind.USER,
    by=ANYONE,
    routes=("PUT /notifications/preferences/",),
    errors=(Invalid,),
)
class SetPreferences(Command, frozen=True, kw_only=True):
    """Say how I want to be reached; what is left out has its default, but zone and language stay as they are."""

    #: None: as it was; UTC at first.
    zone: ZoneName | None = None
    #: Nothing makes a noise then, save what is critical. None: none.
    quiet_hours: QuietHours | None = None
    #: Type of notification → the channels wanted of those that it has; a type that is left out goes by all of them.
    channels: Overrides = field(default_factory=dict)
    frequency: Frequency = Frequency.MODERATE
    #: None: e-mail.
    contact_method: ContactMethod | None = None
    #: None: at any time.
    contact_times: ContactTimes | None = None
    #: Of the daily digest, on my wall clock.
    digest_hour: DigestHour = DIGEST_HOUR_DEFAULT
    #: None: as it was.
    language: Language | None = None


class CommunicationPreferences(Wire, frozen=True, kw_only=True, rename="camel"):
    """A customer's communication preferences as seed 004's app writes them."""

    id: UserId
    preferred_contact_method: ContactMethod | None = None
    preferred_contact_times: ContactTimes | None = None
    communication_frequency_preference: Frequency | None = None
    language_preference: Language | None = None

    def to_command(self) -> "SetContactPreferences":
        return SetContactPreferences(
            user_id=self.id,
            contact_method=self.preferred_contact_method,
            contact_times=self.preferred_contact_times,
            frequency=self.communication_frequency_preference,
            language=self.language_preference,
        )


@command(
    "notification.set_contact_preferences",
    actor=Kind.USER,
    by=CUSTOMERS | PROVIDERS,
    routes=(Route("PUT", "/customers/{id}/communication-preferences", CommunicationPreferences),),
    errors=(Invalid, NotFound),
)
class SetContactPreferences(Command, frozen=True, kw_only=True):
    """Say how a person wants to be written to: oneself, or a manager of a business that they have booked with."""

    user_id: UserId
    #: None: e-mail.
    contact_method: ContactMethod | None = None
    #: None: at any time.
    contact_times: ContactTimes | None = None
    #: None: as it was.
    frequency: Frequency | None = None
    #: None: as it was.
    language: Language | None = None


@command("notification.stop_letters", actor=Kind.USER, by=INTERNAL)
class StopLetters(Command, frozen=True, kw_only=True):
    """Whoever followed a letter's link wants no more of its kind; again is harmless."""

    user_id: UserId
    #: The letter's: a type of notification, or ``digest`` for all that are put off to digests.
    template: str


class TypeView(View, frozen=True, kw_only=True):
    """A type of notification, and what may be wished of it."""

    type: str
    importance: Importance
    #: By which it goes out, as far as its reader wants that.
    channels: tuple[Channel, ...]


class PreferencesView(View, frozen=True, kw_only=True):
    """How I want to be reached."""

    zone: str
    quiet_hours: QuietHours | None
    channels: dict[str, tuple[Channel, ...]]
    frequency: Frequency
    contact_method: ContactMethod | None
    contact_times: ContactTimes | None
    digest_hour: int
    language: str
    #: Everything that there are notifications of.
    types: tuple[TypeView, ...]
    as_of: str


@query("notification.preferences", by=ANYONE, view=PreferencesView, routes=("GET /notifications/preferences/",))
class GetPreferences(Query, frozen=True, kw_only=True):
    """How I want to be reached, and what there is to choose from."""
