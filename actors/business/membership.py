"""The row and the role of a new member; shared by the parts of a business."""

from actors.actor import Actor
from actors.business.state import BusinessState
from protocol.business.rows import BusinessMemberRow
from protocol.ids import BusinessId, Kind, Ref, UserId
from protocol.instants import OpenHours
from protocol.user.commands import GrantRole


def put_member(business: Actor[BusinessState], user_id: UserId, *, bio: str, working: OpenHours | None) -> None:
    """Write the row of a new member."""
    member = business.state.members[user_id]
    business.put(
        BusinessMemberRow(
            business_id=BusinessId(business.actor_id),
            user_id=user_id,
            role=member.role,
            manager=member.manager,
            serves=member.serves,
            active=True,
            bio=bio,
            working=working,
            joined_at=business.now,
        )
    )


def grant(business: Actor[BusinessState], user_id: UserId) -> None:
    """Send a member's user actor the role that they have here."""
    member = business.state.members[user_id]
    command = GrantRole(
        user_id=user_id, role=member.role, business_id=BusinessId(business.actor_id), manager=member.manager
    )
    business.send(Ref(Kind.USER, user_id), command)
