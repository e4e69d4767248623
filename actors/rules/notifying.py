"""By which channels a notification reaches its reader, and when (SPEC §7)."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import UUID

from protocol.ids import DeliveryId, DeviceId
from protocol.notification.catalogue import NotificationType
from protocol.notification.channels import Channel
from protocol.notification.deliveries import Delivery, Unless, Unplanned
from protocol.notification.reader import Reader

#: So long a live device has to take the event before a push goes out.
LIVE_FIRST_S = 30
#: So long somebody has to see what is critical before it goes out by SMS too.
SEEN_FIRST_S = 120


def plan(
    told: NotificationType,
    item: Unplanned,
    reader: Reader,
    available: frozenset[Channel],
    new_id: Callable[[], UUID],
) -> Iterator[Delivery]:
    """Say what goes out for one notification to one reader.

    Args:
        available: channels that this installation has.
    """

    def delivery(
        channel: Channel, after_s: int = 0, unless: Unless | None = None, device_id: DeviceId | None = None
    ) -> Delivery:
        return Delivery(
            id=DeliveryId(new_id()),
            user_id=reader.user_id,
            notification_id=item.notification_id,
            template=told.name,
            channel=channel,
            device_id=device_id,
            critical=told.critical,
            due_at=item.at + timedelta(seconds=after_s),
            unless=unless,
            at=item.at,
        )

    if Channel.EMAIL in told.channels & available:
        yield delivery(Channel.EMAIL)
    if Channel.PUSH in told.channels:
        for device in reader.devices:
            if device.channel in available:
                yield delivery(device.channel, LIVE_FIRST_S, Unless.DELIVERED, device.device_id)
    if told.critical and reader.phone_number is not None and Channel.SMS in available:
        yield delivery(Channel.SMS, SEEN_FIRST_S, Unless.SEEN)
