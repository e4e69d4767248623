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
    """Set my notification preferences. A field left out gets its default, but zone and language stay unchanged."""

    #: None: unchanged; UTC at first.
    zone: ZoneName | None = None
    #: No noisy message in these hours, except critical ones. None: no quiet hours.
    quiet_hours: QuietHours | None = None
    #: Notification type → the wanted ones of its channels; a type left out uses all of them.
    channels: Overrides = field(default_factory=dict)
    frequency: Frequency = Frequency.MODERATE
    #: None: e-mail.
    contact_method: ContactMethod | None = None
    #: None: at any time.
    contact_times: ContactTimes | None = None
    #: Hour of the daily digest in my zone.
    digest_hour: DigestHour = DIGEST_HOUR_DEFAULT
    #: None: unchanged.
    language: Language | None = None


class CommunicationPreferences(Wire, frozen=True, kw_only=True, rename="camel"):
    """A customer's communication preferences in camelCase."""

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
    """Set a user's contact preferences: one's own, or those of a customer of one's business, as its manager."""

    user_id: UserId
    #: None: e-mail.
    contact_method: ContactMethod | None = None
    #: None: at any time.
    contact_times: ContactTimes | None = None
    #: None: unchanged.
    frequency: Frequency | None = None
    #: None: unchanged.
    language: Language | None = None


@command("notification.stop_letters", actor=Kind.USER, by=INTERNAL)
class StopEmails(Command, frozen=True, kw_only=True):
    """Stop e-mails of a kind, asked for by a link in one of them; repeating it is harmless."""

    user_id: UserId
    #: The e-mail's: a notification type, or ``digest`` for all types that are deferred to digests.
    template: str
