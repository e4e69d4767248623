"""What a notification type is. An event declares its own with ``tell=``; ``protocol.notification.registry`` has all."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from protocol.delivery.channels import Channel


class Party(StrEnum):
    """A part in what an event is about. Each actor knows who has which."""

    CUSTOMER = "customer"
    STAFF = "staff"
    OWNER = "owner"
    #: Everybody in a conversation.
    MEMBER = "member"
    #: The user that the event is about.
    SELF = "self"


class Importance(StrEnum):
    """How soon a notification must reach its recipient."""

    #: Passes quiet hours, preferences, contact times and frequency; unseen, it goes by SMS as well.
    CRITICAL = "critical"
    #: Of use now: it is never put off to a digest.
    TIMELY = "timely"
    #: Can wait for the day's digest.
    ORDINARY = "ordinary"


#: Channels and importance of one notification.
Routing = tuple[frozenset[Channel], Importance]

PUSH_ONLY = frozenset({Channel.PUSH})
EMAIL_ONLY = frozenset({Channel.EMAIL})
PUSH_AND_EMAIL = frozenset({Channel.PUSH, Channel.EMAIL})
#: All, of which one of e-mail, SMS and WhatsApp is used: the one that the recipient prefers.
ANY_CHANNEL = frozenset({Channel.PUSH, Channel.EMAIL, Channel.SMS, Channel.WHATSAPP})


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationType:
    """One thing to be notified of; named after its event.

    The user who caused the event is not notified, unless ``even_by_self``: their password may be in other hands.
    """

    #: The event's type; set when the event is declared.
    name: str = ""
    to: frozenset[Party]
    even_by_self: bool = False
    #: Only events of which this holds.
    when: Callable[[Any], bool] | None = None
    #: The channels that it may use, as far as its recipient wants them. Push covers browsers too.
    channels: frozenset[Channel] = PUSH_ONLY
    importance: Importance = Importance.TIMELY
    #: Its push does not wait for a connected device to acknowledge the event.
    push_at_once: bool = False
    #: Of no use once the booking has begun.
    before_start: bool = False
    #: Channels and importance of one notification, where its event says them.
    routing: Callable[[Any], Routing] | None = None

    def of(self, event: Any) -> "NotificationType":
        """This type with the channels and the importance that the event asks for; ``event`` None: as declared."""
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
