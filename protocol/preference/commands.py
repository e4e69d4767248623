"""Commands to notification preferences."""

from msgspec import field

from protocol.errors import Invalid, NotFound
from protocol.ids import Kind, UserId
from protocol.instants import ZoneName
from protocol.preference.terms import (
    DIGEST_HOUR_DEFAULT,
    ContactMethod,
    ContactTimes,
    DigestHour,
    Frequency,
    Overrides,
    QuietHours,
)
from protocol.registry import Command, Route, Wire, command
from protocol.roles import ANYONE, CUSTOMERS, INTERNAL, PROVIDERS
from protocol.user.terms import Language


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
    """A customer's communication preferences as the customer view writes them."""

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
class StopEmails(Command, frozen=True, kw_only=True):
    """Whoever followed a letter's link wants no more of its kind; again is harmless."""

    user_id: UserId
    #: The letter's: a type of notification, or ``digest`` for all that are put off to digests.
    template: str
