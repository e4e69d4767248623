"""What a notification type is. An event declares its own with ``tell=``; ``protocol.notification.registry`` has all."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from protocol.delivery.channels import Channel


class Party(StrEnum):
    """A role in the entity that an event is about. Each actor knows its parties."""

    CUSTOMER = "customer"
    STAFF = "staff"
    OWNER = "owner"
    #: All members of a conversation.
    MEMBER = "member"
    #: The user that the event is about.
    SELF = "self"


class Importance(StrEnum):
    """How soon a notification must reach its recipient."""

    #: Ignores quiet hours, preferences, contact times and frequency; if unseen, it is sent by SMS as well.
    CRITICAL = "critical"
    #: Useful now: never deferred to a digest.
    TIMELY = "timely"
    #: Can wait for the daily digest.
    ORDINARY = "ordinary"


#: Channels and importance of one notification.
Routing = tuple[frozenset[Channel], Importance]

PUSH_ONLY = frozenset({Channel.PUSH})
EMAIL_ONLY = frozenset({Channel.EMAIL})
PUSH_AND_EMAIL = frozenset({Channel.PUSH, Channel.EMAIL})
#: All; of e-mail, SMS and WhatsApp only the one that the recipient prefers is used.
ANY_CHANNEL = frozenset({Channel.PUSH, Channel.EMAIL, Channel.SMS, Channel.WHATSAPP})


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationType:
    """One notification type; its name is its event's type.

    The user who caused the event is not notified, unless ``even_by_self``: another person may have signed in with the
    user's password.
    """

    #: The event's type; set when the event is declared.
    name: str = ""
    to: frozenset[Party]
    even_by_self: bool = False
    #: Only events for which this returns True.
    when: Callable[[Any], bool] | None = None
    #: The channels that it may use; preferences narrow them. PUSH includes WEB_PUSH.
    channels: frozenset[Channel] = PUSH_ONLY
    importance: Importance = Importance.TIMELY
    #: Its push does not wait for a connected device to acknowledge the event.
    push_at_once: bool = False
    #: Useless once the booking has begun.
    before_start: bool = False
    #: Channels and importance, if the event itself chooses them.
    routing: Callable[[Any], Routing] | None = None

    def for_event(self, event: Any) -> "NotificationType":
        """This type with the channels and importance that the event chooses; ``event`` None: as declared."""
        if self.routing is None or event is None:
            return self
        channels, importance = self.routing(event)
        return replace(self, channels=self.channels & channels, importance=importance)

    @property
    def critical(self) -> bool:
        return self.importance is Importance.CRITICAL


def tell(
    to: Iterable[Party],
    channels: frozenset[Channel] = PUSH_ONLY,
    *,
    importance: Importance = Importance.TIMELY,
    even_by_self: bool = False,
    when: Callable[[Any], bool] | None = None,
    push_at_once: bool = False,
    before_start: bool = False,
    routing: Callable[[Any], Routing] | None = None,
) -> NotificationType:
    """Declare whom an event notifies; see ``NotificationType``."""
    return NotificationType(
        to=frozenset(to),
        channels=channels,
        importance=importance,
        even_by_self=even_by_self,
        when=when,
        push_at_once=push_at_once,
        before_start=before_start,
        routing=routing,
    )


def tell_of_money(to: Party, channels: frozenset[Channel]) -> NotificationType:
    """Declare whom an event about money notifies: the money is safe, and the notification can wait."""
    return tell({to}, channels, importance=Importance.ORDINARY)


#: name → type, of the events that are imported so far. ``protocol.notification.registry`` has all of them.
DECLARED: dict[str, NotificationType] = {}


def register(name: str, declared: NotificationType) -> NotificationType:
    """Add the type of an event that is being declared."""
    assert name not in DECLARED, f"the notification {name} is declared twice"
    named = DECLARED[name] = replace(declared, name=name)
    return named
