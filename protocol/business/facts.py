"""Facts that decisions about businesses are made on, loaded before the turn."""

from typing import NamedTuple

from msgspec import Struct

from protocol.business.rows import BusinessMemberRow, BusinessRow
from protocol.ids import BusinessId, ServiceId, UserId

# Facts: rows of the business itself, which its version check keeps from going stale


class MemberAsk(NamedTuple):
    """Which user, seen from which business; None for a sender who acts for none."""

    business_id: BusinessId | None
    user_id: UserId


class BusinessRecord(Struct, frozen=True, kw_only=True):
    """The business's own row, and those of its active members."""

    row: BusinessRow | None
    members: tuple[BusinessMemberRow, ...]


class MemberRecord(Struct, frozen=True, kw_only=True):
    """A user, seen from the business."""

    user_exists: bool
    #: None: never worked there.
    row: BusinessMemberRow | None
    #: The business's services that they offer.
    service_ids: tuple[ServiceId, ...]
