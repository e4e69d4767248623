"""Notification types: the event that each comes from, its recipients, channels and importance.

An actor that emits an event with a notification type writes an outbox entry; nothing else makes a notification.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from protocol.booking.events import (
    BookingAbandoned,
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingDeclined,
    BookingExpired,
    BookingPaid,
    BookingRefunded,
    BookingReleased,
    BookingReminded,
    BookingRevived,
    BookingStarted,
    PaymentReturned,
    PaymentUnplaced,
)
from protocol.code.events import PasswordChanged
from protocol.conversation.events import MessagePosted
from protocol.delivery.channels import Channel
from protocol.events import Event
from protocol.notice.events import NotificationSent
from protocol.user.events import SessionOpened, SessionRevoked
from protocol.user.terms import RevokeReason


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
    """How urgent a notification is."""

    #: Ignores quiet hours, preferences, contact times and frequency; if unseen, it is sent by SMS as well.
    CRITICAL = "critical"
    #: Useful now: never deferred to a digest.
    TIMELY = "timely"
    #: Can wait for the daily digest.
    ORDINARY = "ordinary"


EventType = type[Event]
#: Channels and importance.
Routing = tuple[frozenset[Channel], Importance]


@dataclass(frozen=True, slots=True)
class NotificationType:
    """One notification type; its name is the event's type.

    The user who caused the event gets no notification, unless ``even_by_self``: another person may have signed in
    with the user's password.
    """

    on: EventType
    to: frozenset[Party]
    even_by_self: bool = False
    #: Only events for which this returns True.
    when: Callable[[Any], bool] | None = None
    #: The channels that it may use; preferences narrow them. PUSH includes WEB_PUSH.
    channels: frozenset[Channel] = frozenset({Channel.PUSH})
    importance: Importance = Importance.TIMELY
    #: The push does not wait for a connected device to acknowledge the event.
    push_at_once: bool = False
    #: Useless once the booking has begun.
    before_start: bool = False
    #: Channels and importance, if the event itself chooses them.
    routing: Callable[[Any], Routing] | None = None

    def for_event(self, event: Event | None) -> "NotificationType":
        """This type with the channels and importance that the event chooses."""
        if self.routing is None or event is None:
            return self
        channels, importance = self.routing(event)
        return replace(self, channels=self.channels & channels, importance=importance)

    @property
    def name(self) -> str:
        return self.on.type

    @property
    def critical(self) -> bool:
        return self.importance is Importance.CRITICAL


def _notification(
    on: EventType, *to: Party, channels: frozenset[Channel] = frozenset({Channel.PUSH})
) -> NotificationType:
    return NotificationType(on, frozenset(to), channels=channels)


def _money_notification(
    on: EventType, to: Party, channels: frozenset[Channel] = frozenset({Channel.EMAIL})
) -> NotificationType:
    """A notification about money that is already safe: it can wait."""
    return NotificationType(on, frozenset({to}), channels=channels, importance=Importance.ORDINARY)


def _routing_of_notice(event: NotificationSent) -> Routing:
    """Channels and importance as the sender chose them."""
    return frozenset(event.channels), Importance.CRITICAL if event.critical else Importance.TIMELY


_P = Party
_EMAIL = frozenset({Channel.EMAIL})
_BOTH = frozenset({Channel.PUSH, Channel.EMAIL})
#: All; of e-mail, SMS and WhatsApp only the reader's preferred one is used.
_ANY = frozenset({Channel.PUSH, Channel.EMAIL, Channel.SMS, Channel.WHATSAPP})

NOTIFICATIONS: tuple[NotificationType, ...] = (
    # An unpaid booking only holds a slot for a quarter of an hour, so creating one notifies nobody.
    _notification(BookingPaid, _P.STAFF, _P.OWNER, channels=_ANY),
    _notification(BookingConfirmed, _P.CUSTOMER, _P.STAFF, channels=_ANY),
    _notification(BookingDeclined, _P.CUSTOMER, _P.OWNER, channels=_ANY),
    _notification(BookingCancelled, _P.CUSTOMER, _P.STAFF, _P.OWNER, channels=_ANY),
    _notification(BookingAbandoned, _P.CUSTOMER, _P.OWNER, channels=_ANY),
    _notification(BookingExpired, _P.CUSTOMER),
    _notification(BookingRevived, _P.CUSTOMER, _P.STAFF, channels=_ANY),
    NotificationType(BookingReminded, frozenset({_P.CUSTOMER}), channels=_ANY, push_at_once=True, before_start=True),
    _notification(BookingStarted, _P.CUSTOMER),
    _notification(BookingCompleted, _P.CUSTOMER, channels=_BOTH),
    _money_notification(BookingReleased, _P.OWNER),
    _money_notification(BookingRefunded, _P.CUSTOMER, _BOTH),
    _money_notification(PaymentUnplaced, _P.CUSTOMER),
    _money_notification(PaymentReturned, _P.CUSTOMER),
    # At most one notification a minute for each conversation, not one for each message.
    NotificationType(MessagePosted, frozenset({_P.MEMBER}), when=lambda event: event.active_at is not None),
    NotificationType(SessionOpened, frozenset({_P.SELF}), even_by_self=True, channels=_EMAIL),
    NotificationType(
        SessionRevoked,
        frozenset({_P.SELF}),
        even_by_self=True,
        when=lambda event: event.reason is RevokeReason.REUSE,
        channels=_BOTH,
        importance=Importance.CRITICAL,
    ),
    NotificationType(
        NotificationSent, frozenset({_P.SELF}), even_by_self=True, channels=_ANY, routing=_routing_of_notice
    ),
    NotificationType(
        PasswordChanged,
        frozenset({_P.SELF}),
        even_by_self=True,
        channels=_BOTH,
        importance=Importance.CRITICAL,
    ),
)


def _by_event(types: Iterable[NotificationType]) -> Mapping[EventType, NotificationType]:
    found = {one.on: one for one in types}
    assert len(found) == len(NOTIFICATIONS), "two notification types have one event"
    return found


#: event → the notification type that it drives.
DRIVEN_BY: Mapping[EventType, NotificationType] = _by_event(NOTIFICATIONS)
#: name → type.
BY_NAME: Mapping[str, NotificationType] = {one.name: one for one in NOTIFICATIONS}
