"""Events of notification preferences: what happened, in the past tense."""

from protocol.events import Event
from protocol.ids import UserId


class NotificationPreferencesSet(Event, frozen=True, kw_only=True):
    """A user's preferences were set; clients query the values."""

    by: UserId
