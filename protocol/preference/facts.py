"""Facts that decisions about notification preferences are made on, loaded before the turn."""

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
    """What deciding about somebody's preferences rests on."""

    person: Person
    preferences: NotificationPreferences
    #: Whether the business that the sender acts for has a booking with them. May be stale: bookings are not undone.
    is_customer: bool
