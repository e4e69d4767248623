"""By which channels a notification reaches its reader, and when (rule N-2)."""

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

#: So long a live device has to take the event before a push goes out.
LIVE_FIRST_S = 30
#: So long somebody has to see what is critical before it goes out by SMS too.
SEEN_FIRST_S = 120

#: A digest that could not be sent for so long is not sent any more: the next one is due.
DIGEST_USEFUL = timedelta(hours=20)

_PREFERRED = {
    ContactMethod.WHATSAPP: Channel.WHATSAPP,
    ContactMethod.SMS: Channel.SMS,
    ContactMethod.EMAIL: Channel.EMAIL,
    ContactMethod.PHONE: Channel.EMAIL,
}


class Plan(NamedTuple):
    """What becomes of one notification beside its place in the list."""

    deliveries: list[Delivery]
    #: None: nothing waits for the digest.
    put_off: Deferred | None = None


class Means(NamedTuple):
    """What planning works with."""

    #: Channels that this installation has.
    available: frozenset[Channel]
    now: datetime
    new_id: Callable[[], UUID]


class Case(NamedTuple):
    """One notification to one reader, about to be planned."""

    told: NotificationType
    item: RoutableNotification
    reader: Reader
    #: Channels by which this installation reaches this reader.
    available: frozenset[Channel]
    now: datetime
    new_id: Callable[[], UUID]

    @property
    def expires_at(self) -> datetime | None:
        """From when on it is of no use."""
        return self.item.starts_at if self.told.before_start else None

    def delivery(self, channel: Channel, after_s: int = 0, **said: object) -> Delivery:
        """One that is due so long after the event, but not before now."""
        planned = Delivery(
            id=DeliveryId(self.new_id()),
            user_id=self.reader.user_id,
            notification_id=self.item.notification_id,
            template=self.told.name,
            channel=channel,
            critical=self.told.critical,
            due_at=max(self.item.at + timedelta(seconds=after_s), self.now),
            expires_at=self.expires_at,
            at=self.item.at,
        )
        return replace(planned, **said)


def plan(told: NotificationType, item: RoutableNotification, reader: Reader, means: Means) -> Plan:
    """Say what goes out for one notification to one reader."""
    numberless = frozenset({Channel.SMS, Channel.WHATSAPP}) if reader.phone_number is None else frozenset()
    case = Case(told, item, reader, means.available - numberless, means.now, means.new_id)
    return Plan(list(_critical(case))) if told.critical else _considerate(case)


def _critical(case: Case) -> Iterator[Delivery]:
    """By every channel, whatever its reader wishes; unseen, by SMS too."""
    offered = case.told.channels
    for channel in WRITTEN_CHANNELS:
        if channel in offered & case.available:
            yield case.delivery(channel)
    yield from _pushes(case)
    if Channel.SMS in case.available - offered:
        yield case.delivery(Channel.SMS, SEEN_FIRST_S, unless=Unless.SEEN)


def _considerate(case: Case) -> Plan:
    """By the channels that its reader wants, when they may be disturbed."""
    told, preferences = case.told, case.reader.preferences
    wanted = told.channels & frozenset(preferences.channels.get(told.name, told.channels))
    can_wait = told.importance is Importance.ORDINARY and preferences.frequency is not Frequency.FREQUENT
    deliveries: list[Delivery] = []
    put_off = None
    letter = letter_channel(case, wanted)
    if can_wait and Channel.EMAIL in wanted & case.available:
        put_off = _put_off(case)
    elif letter is not None:
        deliveries += _at_a_good_time(case, [case.delivery(letter)])
    if Channel.PUSH in wanted and not (can_wait and preferences.frequency is Frequency.MINIMAL):
        deliveries += _at_a_good_time(case, _pushes(case))
    return Plan(deliveries, put_off)


def letter_channel(case: Case, wanted: frozenset[Channel]) -> Channel | None:
    """The one way to write: the preferred one, else e-mail, else what there is. None: none of them.

    What else there is counts where the type has no e-mail, or its reader asked for it by name: SMS cost money.
    """
    preferences = case.reader.preferences
    usable = wanted & case.available
    preferred = _PREFERRED.get(preferences.contact_method) if preferences.contact_method else None
    if preferred in usable:
        return preferred
    if Channel.EMAIL in usable:
        return Channel.EMAIL
    by_name = Channel.EMAIL not in case.told.channels or case.told.name in preferences.channels
    return next((channel for channel in WRITTEN_CHANNELS if by_name and channel in usable), None)


def _pushes(case: Case) -> Iterator[Delivery]:
    if Channel.PUSH not in case.told.channels:
        return
    after_s, unless = (0, None) if case.told.push_at_once else (LIVE_FIRST_S, Unless.DELIVERED)
    for device in case.reader.devices:
        if device.channel in case.available:
            yield case.delivery(device.channel, after_s, unless=unless, device_id=device.device_id)


def _at_a_good_time(case: Case, deliveries: Iterable[Delivery]) -> Iterator[Delivery]:
    """Hold up what makes a noise until its reader may be disturbed; what is of no use by then is left out."""
    for delivery in deliveries:
        noisy = delivery.channel is not Channel.EMAIL
        due_at = next_noisy(delivery.due_at, case.reader.preferences) if noisy else delivery.due_at
        if due_at is not None and (delivery.expires_at is None or due_at < delivery.expires_at):
            yield replace(delivery, due_at=due_at)


def _put_off(case: Case) -> Deferred:
    reader = case.reader
    day, due_at = next_digest(max(case.item.at, case.now), reader.preferences, reader.last_digest_day)
    return Deferred(
        user_id=case.reader.user_id,
        notification_id=case.item.notification_id,
        day=day,
        due_at=due_at,
        delivery_id=DeliveryId(case.new_id()),
    )


def digest_delivery(put_off: Deferred, at: datetime) -> Delivery:
    """The letter that lists what was put off to a day."""
    return Delivery(
        id=put_off.delivery_id,
        user_id=put_off.user_id,
        template=DIGEST,
        channel=Channel.EMAIL,
        due_at=put_off.due_at,
        expires_at=put_off.due_at + DIGEST_USEFUL,
        at=at,
    )
