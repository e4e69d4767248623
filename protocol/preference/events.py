"""Events of notification preferences: what happened, in the past tense."""

from protocol.events import Event, event
from protocol.ids import UserId


@event("notification.preferences_set")
class NotificationPreferencesSet(Event, frozen=True, kw_only=True):
    """A user's preferences were set; clients query the values."""

    by: UserId
