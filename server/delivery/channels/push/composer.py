"""Push: what a telephone or a browser shows, and how it is made of a notification."""

import unicodedata
from datetime import datetime

import msgspec

from protocol.ids import DeviceId, Kind, NotificationId
from protocol.notification.registry import NOTIFICATIONS
from protocol.notification.types import Importance
from server.delivery.adapters import Message, Suppressed
from server.delivery.context import DeliveryContext

#: Push services take 4,096 bytes of each message; what is not text takes some 400 of them.
TITLE_BYTES = 256
BODY_BYTES = 2048
#: What is so old is found in the list; no push service keeps it for longer.
KEPT_MAX_S = 7 * 24 * 3600

#: Of what happens to one of these only the latest is shown.
_ONE_AT_A_TIME = frozenset({Kind.BOOKING, Kind.CONVERSATION})
_IMPORTANCE = {told.name: told.importance for told in NOTIFICATIONS}
#: How much a push service is to mind the device's battery (RFC 8030 §5.3).
URGENCY = {Importance.CRITICAL: "high", Importance.TIMELY: "normal", Importance.ORDINARY: "low"}
_ELLIPSIS = "…"


class Push(Message, frozen=True, kw_only=True):
    """One push message to one device. Where that is, its adapter looks up."""

    device_id: DeviceId
    #: The notification's, for the app to mark it as read.
    notification_id: NotificationId
    type: str
    title: str
    body: str
    #: What the app opens: ``booking/<id>``.
    entity: str
    #: A later message of the same key takes the place of this one: a thread's, a booking's.
    collapse_key: str
    #: Notifications that are unread, this one included.
    badge: int
    importance: Importance = Importance.TIMELY
    #: From then on nobody needs it. None: the push service may keep it as long as it likes.
    expires_at: datetime | None = None

    @property
    def urgency(self) -> str:
        """``high`` wakes the device."""
        return URGENCY[self.importance]

    @property
    def sounds(self) -> bool:
        """Whether it is heard: not what can wait for the day's digest."""
        return self.importance is not Importance.ORDINARY

    @property
    def data(self) -> dict[str, str]:
        """What the app gets besides the text."""
        return {"notification_id": str(self.notification_id), "type": self.type, "entity": self.entity}

    def ttl_s(self, now: datetime) -> int:
        """How long the push service may keep it, in seconds."""
        if self.expires_at is None:
            return KEPT_MAX_S
        return min(max(int((self.expires_at - now).total_seconds()), 0), KEPT_MAX_S)


def compose_push(brief: DeliveryContext) -> Push | Suppressed:
    """Make the push message of a delivery."""
    kept, delivery = brief.kept, brief.delivery
    if kept is None or delivery.device_id is None or not brief.scene.shows(kept):
        return Suppressed("nothing_to_tell")
    if kept.read:
        return Suppressed("read")
    entity = str(kept.about)
    return Push(
        id=delivery.id,
        device_id=delivery.device_id,
        notification_id=kept.id,
        type=kept.type,
        title=fitted(brief.title, TITLE_BYTES),
        body=fitted(brief.body, BODY_BYTES),
        entity=entity,
        collapse_key=entity if kept.about.kind in _ONE_AT_A_TIME else f"notification/{kept.id}",
        badge=brief.unread,
        importance=Importance.CRITICAL if delivery.critical else _IMPORTANCE.get(kept.type, Importance.TIMELY),
        expires_at=delivery.expires_at,
    )


def fitted(text: str, bytes_max: int) -> str:
    """Cut a text to so many bytes of JSON, between two characters as people see them, and say so by an ellipsis."""
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
    """Whether a code point changes the one before it: accents, variations, skin tones, joiners."""
    return unicodedata.category(one) in ("Mn", "Me", "Mc") or one == _JOINER or "\U0001f3fb" <= one <= "\U0001f3ff"


def _size(text: str) -> int:
    return len(msgspec.json.encode(text)) - 2
