"""Facts for decisions about notification preferences, loaded before the turn."""

from typing import NamedTuple

from msgspec import Struct

from protocol.confidential import Confidential
from protocol.ids import BusinessId, UserId
from protocol.preference.rows import NotificationPreferences
from protocol.user.rows import Person


class PreferenceAsk(NamedTuple):
    """Whose preferences, and the business that the sender acts for."""

    user_id: UserId
    business_id: BusinessId | None


class PreferenceFacts(Confidential, Struct, frozen=True, kw_only=True):
    """Facts for setting a user's preferences."""

    person: Person
    preferences: NotificationPreferences
    #: Whether the user has a booking with the sender's business. May be stale: bookings are never deleted.
    is_customer: bool
