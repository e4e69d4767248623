"""What people are told of: each type of notification, the event that it comes from, and who gets it.

An actor that emits an event announces every type that is driven by it; nothing else makes a notification.
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
    """Somebody's part in what an event is about. Each actor knows who has which."""

    CUSTOMER = "customer"
    STAFF = "staff"
    OWNER = "owner"
    #: Everybody in a conversation.
    MEMBER = "member"
    #: The user that the event is about.
    SELF = "self"


class Importance(StrEnum):
    """How much it matters that somebody hears of it soon."""

    #: Passes quiet hours, preferences, contact times and frequency; unseen, it goes by SMS as well.
    CRITICAL = "critical"
    #: Of use now: it is never put off to a digest.
    TIMELY = "timely"
    #: Can wait for the day's digest.
    ORDINARY = "ordinary"


EventType = type[Event]
#: Channels, and how much it matters.
Manner = tuple[frozenset[Channel], Importance]


@dataclass(frozen=True, slots=True)
class NotificationType:
    """One thing to be told of. Its name is the event's type.

    Whoever caused the event is not told of it, unless ``even_by_self``: somebody else may have signed in with their
    password.
    """

    on: EventType
    to: frozenset[Party]
    even_by_self: bool = False
    #: Only events of which this holds.
    when: Callable[[Any], bool] | None = None
    #: The ways in which it goes out, as far as its reader wants that. Push covers browsers too.
    channels: frozenset[Channel] = frozenset({Channel.PUSH})
    importance: Importance = Importance.TIMELY
    #: Its push does not wait for a live device to take the event.
    push_at_once: bool = False
    #: Of no use once the booking has begun.
    before_start: bool = False
    #: How one goes out, where its event says so.
    manner: Callable[[Any], Manner] | None = None

    def of(self, event: Event | None) -> "NotificationType":
        """This type as its event wants it to go out."""
        if self.manner is None or event is None:
            return self
        channels, importance = self.manner(event)
        return replace(self, channels=self.channels & channels, importance=importance)

    @property
    def name(self) -> str:
        return self.on.type

    @property
    def critical(self) -> bool:
        return self.importance is Importance.CRITICAL


def _told(on: EventType, *to: Party, channels: frozenset[Channel] = frozenset({Channel.PUSH})) -> NotificationType:
    return NotificationType(on, frozenset(to), channels=channels)


def _money(on: EventType, to: Party, channels: frozenset[Channel] = frozenset({Channel.EMAIL})) -> NotificationType:
    """What happened to somebody's money: it is safe, and can wait."""
    return NotificationType(on, frozenset({to}), channels=channels, importance=Importance.ORDINARY)


def _as_written(event: NotificationSent) -> Manner:
    """As whoever wrote it wants it to go out."""
    return frozenset(event.channels), Importance.CRITICAL if event.critical else Importance.TIMELY


_P = Party
_LETTER = frozenset({Channel.EMAIL})
_BOTH = frozenset({Channel.PUSH, Channel.EMAIL})
#: All, of which one of e-mail, SMS and WhatsApp is used: the reader's preferred one.
_ANY = frozenset({Channel.PUSH, Channel.EMAIL, Channel.SMS, Channel.WHATSAPP})

NOTIFICATIONS: tuple[NotificationType, ...] = (
    # Until it is paid, a booking is a slot that is held for a quarter of an hour: nothing to call anybody for.
    _told(BookingPaid, _P.STAFF, _P.OWNER, channels=_ANY),
    _told(BookingConfirmed, _P.CUSTOMER, _P.STAFF, channels=_ANY),
    _told(BookingDeclined, _P.CUSTOMER, _P.OWNER, channels=_ANY),
    _told(BookingCancelled, _P.CUSTOMER, _P.STAFF, _P.OWNER, channels=_ANY),
    _told(BookingAbandoned, _P.CUSTOMER, _P.OWNER, channels=_ANY),
    _told(BookingExpired, _P.CUSTOMER),
    _told(BookingRevived, _P.CUSTOMER, _P.STAFF, channels=_ANY),
    NotificationType(BookingReminded, frozenset({_P.CUSTOMER}), channels=_ANY, push_at_once=True, before_start=True),
    _told(BookingStarted, _P.CUSTOMER),
    _told(BookingCompleted, _P.CUSTOMER, channels=_BOTH),
    _money(BookingReleased, _P.OWNER),
    _money(BookingRefunded, _P.CUSTOMER, _BOTH),
    _money(PaymentUnplaced, _P.CUSTOMER),
    _money(PaymentReturned, _P.CUSTOMER),
    # A thread that is written to all day is one notification a minute, not one a message.
    NotificationType(MessagePosted, frozenset({_P.MEMBER}), when=lambda event: event.active_at is not None),
    NotificationType(SessionOpened, frozenset({_P.SELF}), even_by_self=True, channels=_LETTER),
    NotificationType(
        SessionRevoked,
        frozenset({_P.SELF}),
        even_by_self=True,
        when=lambda event: event.reason is RevokeReason.REUSE,
        channels=_BOTH,
        importance=Importance.CRITICAL,
    ),
    NotificationType(NotificationSent, frozenset({_P.SELF}), even_by_self=True, channels=_ANY, manner=_as_written),
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
    assert len(found) == len(NOTIFICATIONS), "two notifications are driven by one event"
    return found


#: event → what people are told when it happens.
DRIVEN_BY: Mapping[EventType, NotificationType] = _by_event(NOTIFICATIONS)
#: name → type.
BY_NAME: Mapping[str, NotificationType] = {told.name: told for told in NOTIFICATIONS}
