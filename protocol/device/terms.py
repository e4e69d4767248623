"""Terms of devices: bounds, enums, small structs and refusals."""

from enum import StrEnum
from hashlib import sha256
from typing import Annotated

from msgspec import Meta, Struct, field

from protocol.confidential import Confidential
from protocol.delivery.channels import Channel

#: Devices of one user; with one more, the one unused for longest goes.
DEVICES_MAX = 10


#: Characters of what a push service gives out.
TOKEN_MAX = 4096


ENDPOINT_MAX = 2048


_KEY_MAX = 128


class Platform(StrEnum):
    """Whose push service a device has."""

    #: Firebase Cloud Messaging: Android, and Apple's through it.
    FCM = "fcm"
    #: A browser's own, as RFC 8030 says.
    WEB = "web"

    @property
    def channel(self) -> Channel:
        """By which channel its messages go."""
        return Channel.PUSH if self is Platform.FCM else Channel.WEB_PUSH


class ForgetReason(StrEnum):
    """Why a device is not written to any more; a session's end takes its devices with it and needs none."""

    BY_USER = "by_user"
    #: The user registered more than are kept.
    DISPLACED = "displaced"
    #: Somebody else has signed in on it.
    MOVED = "moved"
    #: Its push service knows it no longer.
    GONE = "gone"


class PushKeys(Confidential, Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What messages to a browser are encrypted for (RFC 8291), in base64url."""

    #: A point on P-256, uncompressed: 65 bytes.
    p256dh: Annotated[str, Meta(max_length=_KEY_MAX)]
    #: 16 bytes.
    auth: Annotated[str, Meta(max_length=_KEY_MAX)]


class PushSubscription(Confidential, Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A browser's ``PushSubscription``, as its ``toJSON()`` gives it."""

    endpoint: Annotated[str, Meta(max_length=ENDPOINT_MAX, pattern=r"^[!-~]+$(?!\n)")]
    keys: PushKeys
    #: Milliseconds since 1970. Not looked at: a subscription that ended is found to be gone.
    expiration_time: float | None = field(name="expirationTime", default=None)


def address_hash(address: str) -> str:
    """What an address is known by outside of its row: half of its SHA-256."""
    return sha256(address.encode()).hexdigest()[:32]
