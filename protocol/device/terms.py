"""Terms of devices: bounds, enums, small structs and refusals."""

from enum import StrEnum
from hashlib import sha256
from typing import Annotated

from msgspec import Meta, Struct, field

from protocol.confidential import Confidential
from protocol.delivery.channels import Channel

#: Devices of one user; above it, the least recently used one is removed.
DEVICES_MAX = 10


#: Characters of an FCM token.
TOKEN_MAX = 4096


ENDPOINT_MAX = 2048


_KEY_MAX = 128


class Platform(StrEnum):
    """The push service of a device."""

    #: Firebase Cloud Messaging: Android, and Apple's devices through it.
    FCM = "fcm"
    #: A browser's push service (RFC 8030).
    WEB = "web"

    @property
    def channel(self) -> Channel:
        """The channel of its messages."""
        return Channel.PUSH if self is Platform.FCM else Channel.WEB_PUSH


class ForgetReason(StrEnum):
    """Why a device was forgotten. The end of a session removes its devices without a reason."""

    BY_USER = "by_user"
    #: The user registered more devices than the limit.
    DISPLACED = "displaced"
    #: Another user signed in on it.
    MOVED = "moved"
    #: Its push service does not know it any more.
    GONE = "gone"


class PushKeys(Confidential, Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys that messages to a browser are encrypted with (RFC 8291), in base64url."""

    #: A point on P-256, uncompressed: 65 bytes.
    p256dh: Annotated[str, Meta(max_length=_KEY_MAX)]
    #: 16 bytes.
    auth: Annotated[str, Meta(max_length=_KEY_MAX)]


class PushSubscription(Confidential, Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A browser's ``PushSubscription``, as ``toJSON()`` returns it."""

    endpoint: Annotated[str, Meta(max_length=ENDPOINT_MAX, pattern=r"^[!-~]+$(?!\n)")]
    keys: PushKeys
    #: Milliseconds since 1970. Ignored: the push service rejects messages to an expired subscription.
    expiration_time: float | None = field(name="expirationTime", default=None)


def address_hash(address: str) -> str:
    """Identifies an address outside its row: the first half of its SHA-256."""
    return sha256(address.encode()).hexdigest()[:32]
