"""Events of notification preferences: what happened, in the past tense."""

from protocol.events import Event
from protocol.ids import UserId


class NotificationPreferencesSet(Event, frozen=True, kw_only=True):
    """Somebody's preferences were set; what they are is to be asked for."""

    by: UserId
