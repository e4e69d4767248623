"""Facts of decisions about businesses."""

from typing import NamedTuple

from msgspec import Struct

from protocol.business.rows import BusinessMemberRow, BusinessRow, InvitationRow
from protocol.ids import BusinessId, InvitationId, ServiceId, UserId

# Rows of the business itself; its version check keeps them from going stale


class MemberAsk(NamedTuple):
    """A user and a business; None for a sender without an acting business."""

    business_id: BusinessId | None
    user_id: UserId


class BusinessRecord(Struct, frozen=True, kw_only=True):
    """The rows of the business and of its active members."""

    row: BusinessRow | None
    members: tuple[BusinessMemberRow, ...]


class MemberRecord(Struct, frozen=True, kw_only=True):
    """A user and their membership of the business."""

    #: None: never was a member.
    row: BusinessMemberRow | None
    #: The business's services that the user does.
    service_ids: tuple[ServiceId, ...]


# Rows of others: what must hold is a claim as well


class OwnerAsk(NamedTuple):
    """A person who registers a business."""

    user_id: UserId


class OwnerRecord(Struct, frozen=True, kw_only=True):
    """How many businesses the person owns."""

    owned: int


class InviteeAsk(NamedTuple):
    """A person who is to be invited; they need not exist."""

    user_id: UserId


class InviteeRecord(Struct, frozen=True, kw_only=True):
    """The places that the person's open invitations take."""

    taken: tuple[int, ...]


class InvitationAsk(NamedTuple):
    """An invitation."""

    invitation_id: InvitationId


class InvitationRecord(Struct, frozen=True, kw_only=True):
    """The row of an invitation; None: there is none of that id, or it was accepted or has expired."""

    row: InvitationRow | None
