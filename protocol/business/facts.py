"""Facts of decisions about businesses."""

from typing import NamedTuple

from msgspec import Struct

from protocol.business.rows import BusinessMemberRow, BusinessRow
from protocol.ids import BusinessId, ServiceId, UserId

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

    user_exists: bool
    #: None: never was a member.
    row: BusinessMemberRow | None
    #: The business's services that the user does.
    service_ids: tuple[ServiceId, ...]
