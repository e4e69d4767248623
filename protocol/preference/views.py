"""Views of notification preferences, and the queries that return them."""

from protocol.delivery.channels import Channel
from protocol.notification.types import Importance
from protocol.preference.terms import ContactMethod, ContactTimes, Frequency, QuietHours
from protocol.registry import Query, View, query
from protocol.roles import ANYONE


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
