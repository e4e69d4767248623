"""Which channels deliver a notification to its reader, and when (rule N-2)."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from msgspec.structs import replace

from actors.rules.quiet_hours import next_digest, next_noisy
from protocol.delivery.channels import WRITTEN_CHANNELS, Channel
from protocol.delivery.rows import Delivery
from protocol.delivery.terms import DIGEST, Deferred, RoutableNotification, Unless
from protocol.ids import DeliveryId
from protocol.notification.terms import Reader
from protocol.notification.types import Importance, NotificationType
from protocol.preference.terms import ContactMethod, Frequency

#: How long a connected device has to acknowledge the event before a push is sent.
LIVE_FIRST_S = 30
#: How long a user has to see a critical notification before it is sent by SMS as well.
SEEN_FIRST_S = 120

#: A digest that could not be sent within this time is dropped: the next one is due.
DIGEST_USEFUL = timedelta(hours=20)

_PREFERRED = {
    ContactMethod.WHATSAPP: Channel.WHATSAPP,
    ContactMethod.SMS: Channel.SMS,
    ContactMethod.EMAIL: Channel.EMAIL,
    ContactMethod.PHONE: Channel.EMAIL,
}


class Routed(NamedTuple):
    """The deliveries of one notification; it is in its reader's list in any case."""

    deliveries: list[Delivery]
    #: None: nothing waits for the digest.
    deferred: Deferred | None = None


class RoutingContext(NamedTuple):
    """What routing needs beside the notification and its reader."""

    #: Channels that this installation has.
    available: frozenset[Channel]
    now: datetime
    new_id: Callable[[], UUID]


class Candidate(NamedTuple):
    """One notification to one reader, to be routed."""

    notification_type: NotificationType
    item: RoutableNotification
    reader: Reader
    #: Channels by which this installation can reach this reader.
    available: frozenset[Channel]
    now: datetime
    new_id: Callable[[], UUID]

    @property
    def expires_at(self) -> datetime | None:
        """From when on a delivery is useless. None: never."""
        return self.item.starts_at if self.notification_type.before_start else None

    def delivery(self, channel: Channel, after_s: int = 0, **fields: object) -> Delivery:
        """A delivery that is due ``after_s`` seconds after the event, but not before now."""
        routed = Delivery(
            id=DeliveryId(self.new_id()),
            user_id=self.reader.user_id,
            notification_id=self.item.notification_id,
            template=self.notification_type.name,
            channel=channel,
            critical=self.notification_type.critical,
            due_at=max(self.item.at + timedelta(seconds=after_s), self.now),
            expires_at=self.expires_at,
            at=self.item.at,
        )
        return replace(routed, **fields)


def route(
    notification_type: NotificationType, item: RoutableNotification, reader: Reader, context: RoutingContext
) -> Routed:
    """Decide the deliveries of one notification to one reader."""
    unreachable = frozenset({Channel.SMS, Channel.WHATSAPP}) if reader.phone_number is None else frozenset()
    available = context.available - unreachable
    candidate = Candidate(notification_type, item, reader, available, context.now, context.new_id)
    return Routed(list(_critical(candidate))) if notification_type.critical else _by_preferences(candidate)


def _critical(candidate: Candidate) -> Iterator[Delivery]:
    """By every channel, whatever the reader prefers; by SMS too if it stays unseen."""
    offered = candidate.notification_type.channels
    for channel in WRITTEN_CHANNELS:
        if channel in offered & candidate.available:
            yield candidate.delivery(channel)
    yield from _pushes(candidate)
    if Channel.SMS in candidate.available - offered:
        yield candidate.delivery(Channel.SMS, SEEN_FIRST_S, unless=Unless.SEEN)


def _by_preferences(candidate: Candidate) -> Routed:
    """By the channels that the reader wants, outside quiet hours."""
    notification_type, preferences = candidate.notification_type, candidate.reader.preferences
    offered = notification_type.channels
    wanted = offered & frozenset(preferences.channels.get(notification_type.name, offered))
    can_wait = notification_type.importance is Importance.ORDINARY and preferences.frequency is not Frequency.FREQUENT
    deliveries: list[Delivery] = []
    deferred = None
    written = written_channel(candidate, wanted)
    if can_wait and Channel.EMAIL in wanted & candidate.available:
        deferred = _defer(candidate)
    elif written is not None:
        deliveries += _outside_quiet_hours(candidate, [candidate.delivery(written)])
    if Channel.PUSH in wanted and not (can_wait and preferences.frequency is Frequency.MINIMAL):
        deliveries += _outside_quiet_hours(candidate, _pushes(candidate))
    return Routed(deliveries, deferred)


def written_channel(candidate: Candidate, wanted: frozenset[Channel]) -> Channel | None:
    """The one written channel: the preferred one, else e-mail, else another available one. None: there is none.

    Another one is used only if the type has no e-mail or the reader chose it by name: SMS cost money.
    """
    preferences = candidate.reader.preferences
    usable = wanted & candidate.available
    preferred = _PREFERRED.get(preferences.contact_method) if preferences.contact_method else None
    if preferred in usable:
        return preferred
    if Channel.EMAIL in usable:
        return Channel.EMAIL
    notification_type = candidate.notification_type
    by_name = Channel.EMAIL not in notification_type.channels or notification_type.name in preferences.channels
    return next((channel for channel in WRITTEN_CHANNELS if by_name and channel in usable), None)


def _pushes(candidate: Candidate) -> Iterator[Delivery]:
    if Channel.PUSH not in candidate.notification_type.channels:
        return
    at_once = candidate.notification_type.push_at_once
    after_s, unless = (0, None) if at_once else (LIVE_FIRST_S, Unless.DELIVERED)
    for device in candidate.reader.devices:
        if device.channel in candidate.available:
            yield candidate.delivery(device.channel, after_s, unless=unless, device_id=device.device_id)


def _outside_quiet_hours(candidate: Candidate, deliveries: Iterable[Delivery]) -> Iterator[Delivery]:
    """Move noisy deliveries behind the reader's quiet hours; drop those that would expire before."""
    for delivery in deliveries:
        noisy = delivery.channel is not Channel.EMAIL
        due_at = next_noisy(delivery.due_at, candidate.reader.preferences) if noisy else delivery.due_at
        if due_at is not None and (delivery.expires_at is None or due_at < delivery.expires_at):
            yield replace(delivery, due_at=due_at)


def _defer(candidate: Candidate) -> Deferred:
    reader = candidate.reader
    day, due_at = next_digest(max(candidate.item.at, candidate.now), reader.preferences, reader.last_digest_day)
    return Deferred(
        user_id=reader.user_id,
        notification_id=candidate.item.notification_id,
        day=day,
        due_at=due_at,
        delivery_id=DeliveryId(candidate.new_id()),
    )


def digest_delivery(deferred: Deferred, at: datetime) -> Delivery:
    """The e-mail that lists the notifications deferred to a day."""
    return Delivery(
        id=deferred.delivery_id,
        user_id=deferred.user_id,
        template=DIGEST,
        channel=Channel.EMAIL,
        due_at=deferred.due_at,
        expires_at=deferred.due_at + DIGEST_USEFUL,
        at=at,
    )
