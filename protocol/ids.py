"""Identifiers: every id is a UUIDv7 made by the server, so that ids sort by their creation time."""

from enum import StrEnum
from typing import NamedTuple, NewType
from uuid import UUID

from msgspec import convert, to_builtins

UserId = NewType("UserId", UUID)
BusinessId = NewType("BusinessId", UUID)
ServiceId = NewType("ServiceId", UUID)
BookingId = NewType("BookingId", UUID)
ConversationId = NewType("ConversationId", UUID)
MessageId = NewType("MessageId", UUID)
PaymentId = NewType("PaymentId", UUID)
SessionId = NewType("SessionId", UUID)
AgendaId = NewType("AgendaId", UUID)
NotificationId = NewType("NotificationId", UUID)
DeliveryId = NewType("DeliveryId", UUID)
DeviceId = NewType("DeviceId", UUID)
InvitationId = NewType("InvitationId", UUID)
#: A hash of the suggestion, so that equal suggestions have equal ids.
SuggestionId = NewType("SuggestionId", UUID)

#: The principal of the server itself: timers, messages between actors.
SYSTEM = UserId(UUID(int=0))


class Kind(StrEnum):
    """The kinds of actor."""

    USER = "user"
    BUSINESS = "business"
    BOOKING = "booking"
    CONVERSATION = "conversation"
    PAYMENT = "payment"

    __hash__ = str.__hash__  # in C, while Enum's is not; it is used in every look-up of an actor


class Ref(NamedTuple):
    """The address of one actor."""

    kind: Kind
    id: UUID

    def __str__(self) -> str:
        return f"{self.kind}/{id_text(self.id)}"


def id_text(entity_id: UUID) -> str:
    """Format an id, several times as fast as ``str``."""
    text: str = to_builtins(entity_id)
    return text


def uuid7(unix_ms: int, random: int) -> UUID:
    """Build a UUIDv7 (RFC 9562 §5.7) from milliseconds since 1970 and 74 random bits."""
    value = (unix_ms & 0xFFFF_FFFF_FFFF) << 80
    value |= 0x7000 << 64 | (random >> 62) << 64
    value |= 0x2 << 62 | (random & 0x3FFF_FFFF_FFFF_FFFF)
    return convert(value.to_bytes(16, "big"), UUID)  # takes a third of the time of the class's own constructor


#: Characters of the human-readable number: Crockford's base 32, without I, L, O and U.
_NUMBER_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_NUMBER_LETTERS = 8
_LOOK_ALIKES = str.maketrans("OIL", "011")


def human_number(entity_id: UUID) -> str:
    """Return an entity's short human-readable number, like ``7K3M-9QZD``: 40 of the id's random bits."""
    bits = entity_id.int & 0xFF_FFFF_FFFF
    letters = "".join(_NUMBER_ALPHABET[(bits >> shift) & 31] for shift in range(35, -1, -5))
    return f"{letters[:4]}-{letters[4:]}"


def read_number(text: str) -> str | None:
    """Return the number that a person wrote or spelled out, as ``human_number`` writes it; None: it is no number.

    Case, spaces and hyphens make no difference, and O, I and L are read as the digits that they look like (Crockford's
    base 32).
    """
    letters = "".join(text.upper().replace("-", " ").split()).translate(_LOOK_ALIKES)
    if len(letters) != _NUMBER_LETTERS or not set(letters) <= set(_NUMBER_ALPHABET):
        return None
    return f"{letters[:4]}-{letters[4:]}"
