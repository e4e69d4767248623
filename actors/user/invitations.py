"""Invitations to a business: the user is notified of one, and accepts or declines it.

The user decides first: the bound on the businesses that they work in is checked here, before anything exists. The
business then admits them, or answers with EndJoining if the invitation no longer stands.

    invited ── accept ──▶ joining ── GrantRole ──▶ member
       │                     └── EndJoining ──▶ not joined
       └── decline, withdrawn or expired ──▶ gone
"""

from msgspec.structs import replace

from actors.actor import Actor, applies, handles
from actors.user.state import Joining, UserState
from protocol.business.commands import AcceptInvitation, AdmitMember, DeclineInvitation, RecordDecline
from protocol.business.facts import InvitationAsk, InvitationRecord
from protocol.business.rows import InvitationRow
from protocol.business.terms import InvitationStatus
from protocol.business.views import InvitationReply, invitation_reply
from protocol.errors import LimitReached, NotFound
from protocol.ids import InvitationId, Kind, Ref, UserId
from protocol.user.commands import EndJoining, InformOfInvitation
from protocol.user.events import UserInvited, UserJoining, UserNotJoined
from protocol.user.terms import EMPLOYMENTS_MAX

#: This part of the state.
FIELD = "joining"


def _ask(user: Actor[UserState], cmd: AcceptInvitation | DeclineInvitation) -> InvitationAsk:
    return InvitationAsk(cmd.invitation_id)


@handles(InformOfInvitation)
def inform(user: Actor[UserState], cmd: InformOfInvitation) -> None:
    """Notify the user of an invitation. Raises: NotFound."""
    user.emit(
        UserInvited(
            invitation_id=cmd.invitation_id,
            business_id=cmd.business_id,
            role=cmd.role,
            manager=cmd.manager,
            by_email=user.state.is_email_verified,
            expires_at=cmd.expires_at,
        )
    )


@handles(AcceptInvitation, facts=InvitationRecord, asks=_ask)
def accept(user: Actor[UserState], cmd: AcceptInvitation, facts: InvitationRecord) -> InvitationReply:
    """Accept an invitation; repeating it does nothing more. Raises: NotFound, LimitReached."""
    row = _own(user, cmd.invitation_id, facts)
    joining = user.state.joining.accepted
    if joining.get(row.business_id) != row.id:
        if user.state.employments >= EMPLOYMENTS_MAX:
            raise LimitReached(limit="employments", max=EMPLOYMENTS_MAX)
        user.emit(UserJoining(invitation_id=row.id, business_id=row.business_id))
        user.send(
            Ref(Kind.BUSINESS, row.business_id),
            AdmitMember(business_id=row.business_id, invitation_id=row.id, user_id=row.user_id),
        )
    return invitation_reply(replace(row, status=InvitationStatus.ACCEPTED))


@handles(DeclineInvitation, facts=InvitationRecord, asks=_ask)
def decline(user: Actor[UserState], cmd: DeclineInvitation, facts: InvitationRecord) -> None:
    """Decline an invitation. Raises: NotFound."""
    row = _own(user, cmd.invitation_id, facts)
    decline = RecordDecline(business_id=row.business_id, invitation_id=row.id)
    user.send(Ref(Kind.BUSINESS, row.business_id), decline)


@handles(EndJoining)
def end_joining(user: Actor[UserState], cmd: EndJoining) -> None:
    """Forget an accepted invitation that no longer stood. Raises: NotFound."""
    if user.state.joining.accepted.get(cmd.business_id) == cmd.invitation_id:
        user.emit(UserNotJoined(invitation_id=cmd.invitation_id, business_id=cmd.business_id))


def _own(user: Actor[UserState], invitation_id: InvitationId, facts: InvitationRecord) -> InvitationRow:
    """The open invitation of this user. Raises: NotFound."""
    row = facts.row
    is_own = row is not None and row.user_id == UserId(user.actor_id)
    if row is None or not is_own or row.status is not InvitationStatus.INVITED or row.expires_at <= user.now:
        raise NotFound(entity="invitation", id=str(invitation_id))
    return row


@applies(UserInvited, UserJoining, UserNotJoined)
def _changed(joining: Joining, event: UserInvited | UserJoining | UserNotJoined) -> Joining:
    match event:
        case UserInvited():
            return joining
        case UserJoining():
            return replace(joining, accepted={**joining.accepted, event.business_id: event.invitation_id})
        case UserNotJoined():
            return joining.without(event.business_id)
