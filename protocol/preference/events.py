"""Events of notification preferences: what happened, in the past tense."""

from protocol.events import Event, event
from protocol.ids import UserId


@event("notification.preferences_set")
class NotificationPreferencesSet(Event, frozen=True, kw_only=True):
    """Somebody's preferences were set; what they are is to be asked for."""

    by: UserId
