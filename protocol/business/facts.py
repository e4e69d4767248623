"""Facts of decisions about businesses."""

from typing import NamedTuple
from uuid import UUID

from msgspec import Struct

from protocol.business.rows import BusinessMemberRow, BusinessRow, InvitationRow
from protocol.business.views import OpenBooking
from protocol.ids import BusinessId, InvitationId, Ref, ServiceId, UserId

#: Entities that one decision takes a leaver out of, and open bookings named in a reply.
LEAVER_PAGE = 50

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
    #: The user's open jobs in the business, at most ``LEAVER_PAGE``.
    open_bookings: tuple[OpenBooking, ...] = ()


class LeaverAsk(NamedTuple):
    """A member who left, and the last entity that was handled."""

    business_id: BusinessId
    user_id: UserId
    after: UUID | None


class LeaverWork(Struct, frozen=True, kw_only=True):
    """What a member who left still takes part in, by id.

    It may be stale at commit: a booking that was being made for them is committed later. A second look finds it.
    """

    #: Open bookings and conversations, at most ``LEAVER_PAGE``.
    refs: tuple[Ref, ...]
    #: The id after which the next page starts; None: this is the last one.
    next_after: UUID | None


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
