"""Composes push messages from notifications."""

import unicodedata
from datetime import datetime

import msgspec

from protocol.ids import DeviceId, Kind, NotificationId
from protocol.notification.registry import NOTIFICATIONS
from protocol.notification.types import Importance
from server.delivery.adapters import Message, Suppressed
from server.delivery.context import DeliveryContext

#: Push services accept 4,096 bytes for a message, of which some 400 are not text.
TITLE_BYTES = 256
BODY_BYTES = 2048
#: The longest time that a push service stores a message.
TTL_MAX_S = 7 * 24 * 3600

#: Of the messages about one such entity only the latest is shown.
_ONE_AT_A_TIME = frozenset({Kind.BOOKING, Kind.CONVERSATION})
_IMPORTANCE = {one.name: one.importance for one in NOTIFICATIONS}
#: Importance → Urgency header (RFC 8030 §5.3).
URGENCY = {Importance.CRITICAL: "high", Importance.TIMELY: "normal", Importance.ORDINARY: "low"}
_ELLIPSIS = "…"


class Push(Message, frozen=True, kw_only=True):
    """One push message to one device. The adapter looks up the device's address."""

    device_id: DeviceId
    #: For the app to mark the notification as read.
    notification_id: NotificationId
    type: str
    title: str
    body: str
    #: What the app opens: ``booking/<id>``.
    entity: str
    #: A later message with the same key replaces this one.
    collapse_key: str
    #: Unread notifications, including this one.
    badge: int
    importance: Importance = Importance.TIMELY
    #: From then on it is useless. None: never.
    expires_at: datetime | None = None

    @property
    def urgency(self) -> str:
        """``high`` wakes the device."""
        return URGENCY[self.importance]

    @property
    def sounds(self) -> bool:
        """Whether the device plays a sound: not for ordinary notifications."""
        return self.importance is not Importance.ORDINARY

    @property
    def data(self) -> dict[str, str]:
        """The data for the app."""
        return {"notification_id": str(self.notification_id), "type": self.type, "entity": self.entity}

    def ttl_s(self, now: datetime) -> int:
        """How long the push service may store it, in seconds."""
        if self.expires_at is None:
            return TTL_MAX_S
        return min(max(int((self.expires_at - now).total_seconds()), 0), TTL_MAX_S)


def compose_push(context: DeliveryContext) -> Push | Suppressed:
    """Compose the push message of a delivery."""
    record, delivery = context.record, context.delivery
    if record is None or delivery.device_id is None or not context.notification_context.is_visible(record):
        return Suppressed("nothing_to_tell")
    if record.read:
        return Suppressed("read")
    entity = str(record.entity)
    return Push(
        id=delivery.id,
        device_id=delivery.device_id,
        notification_id=record.id,
        type=record.type,
        title=fitted(context.title, TITLE_BYTES),
        body=fitted(context.body, BODY_BYTES),
        entity=entity,
        collapse_key=entity if record.entity.kind in _ONE_AT_A_TIME else f"notification/{record.id}",
        badge=context.unread,
        importance=Importance.CRITICAL if delivery.critical else _IMPORTANCE.get(record.type, Importance.TIMELY),
        expires_at=delivery.expires_at,
    )


def fitted(text: str, bytes_max: int) -> str:
    """Cut a text to this many bytes of JSON, at a boundary between grapheme clusters, and append an ellipsis."""
    text = "".join(" " if unicodedata.category(one) == "Cc" else one for one in text)
    if _size(text) <= bytes_max:
        return text
    room, end = bytes_max - _size(_ELLIPSIS), 0
    for end, one in enumerate(text):  # noqa: B007  # where the room ends
        room -= _size(one)
        if room < 0:
            break
    while end > 0 and (_belongs_to_last(text[end]) or text[end - 1] == _JOINER):
        end -= 1
    return text[:end].rstrip() + _ELLIPSIS


_JOINER = "\N{ZERO WIDTH JOINER}"


def _belongs_to_last(one: str) -> bool:
    """Whether a code point modifies the one before it: accents, variations, skin tones, joiners."""
    return unicodedata.category(one) in ("Mn", "Me", "Mc") or one == _JOINER or "\U0001f3fb" <= one <= "\U0001f3ff"


def _size(text: str) -> int:
    return len(msgspec.json.encode(text)) - 2
