"""Views of notification preferences, and the queries that return them."""

from protocol.delivery.channels import Channel
from protocol.notification.types import Importance
from protocol.preference.terms import ContactMethod, ContactTimes, Frequency, QuietHours
from protocol.registry import Query, View, query
from protocol.roles import ANYONE


class TypeView(View, frozen=True, kw_only=True):
    """A notification type, and what preferences may choose for it."""

    type: str
    importance: Importance
    #: The channels that it may use.
    channels: tuple[Channel, ...]


class PreferencesView(View, frozen=True, kw_only=True):
    """My notification preferences."""

    zone: str
    quiet_hours: QuietHours | None
    channels: dict[str, tuple[Channel, ...]]
    frequency: Frequency
    contact_method: ContactMethod | None
    contact_times: ContactTimes | None
    digest_hour: int
    language: str
    #: All notification types.
    types: tuple[TypeView, ...]
    as_of: str


@query("notification.preferences", by=ANYONE, view=PreferencesView, routes=("GET /notifications/preferences/",))
class GetPreferences(Query, frozen=True, kw_only=True):
    """My notification preferences, and the types and channels to choose from."""
