"""Invitations: a person becomes a member of the business only when they accept (rule P-11).

An open invitation keeps a place among the members, so that an acceptance never meets a full business, and one of the
places that the invited person has for invitations. The user's actor decides about an acceptance first, and sends
AdmitMember. The invitation of a user who does not exist looks like any other: nobody accepts it, and it expires.

    invite ──▶ INVITED ── accepted ──▶ a member
                  └── DECLINED, WITHDRAWN: kept, so that the person is not invited again at once
    any of them ── INVITATION_LIFETIME ──▶ deleted
"""

from msgspec.structs import replace

from actors.actor import Actor, applies, handles
from actors.business.membership import grant, put_member
from actors.business.permissions import emit_to_managers, managers_only, owner_only
from actors.business.state import BusinessState, Invitations, Invited
from actors.business.validation import Validator
from protocol.business.commands import AddMember, AdmitMember, ExpireInvitation, RecordDecline, WithdrawInvitation
from protocol.business.events import (
    BusinessInvitationClosed,
    BusinessInvitationExpired,
    BusinessMemberAdded,
    BusinessMemberInvited,
)
from protocol.business.facts import InvitationAsk, InvitationRecord, InviteeAsk, InviteeRecord
from protocol.business.rows import InvitationRow
from protocol.business.terms import (
    INVITATION_LIFETIME,
    INVITATION_PLACE,
    INVITATIONS_MAX,
    INVITATIONS_OF_PERSON_MAX,
    MEMBERS_MAX,
    AlreadyInvited,
    AlreadyMember,
    InvitationStatus,
)
from protocol.business.views import InvitationReply, invitation_reply
from protocol.errors import LimitReached, NotFound
from protocol.ids import BusinessId, InvitationId, Kind, Ref, UserId
from protocol.instants import OpenHours
from protocol.roles import Role
from protocol.user.commands import EndJoining, InformOfInvitation

#: This part of the state.
FIELD = "invitations"


def _invitee(business: Actor[BusinessState], cmd: AddMember) -> InviteeAsk:
    return InviteeAsk(cmd.user_id)


def _invitation(business: Actor[BusinessState], cmd: AdmitMember | WithdrawInvitation | RecordDecline) -> InvitationAsk:
    return InvitationAsk(cmd.invitation_id)


# Inviting


@handles(AddMember, facts=InviteeRecord, asks=_invitee)
def invite(business: Actor[BusinessState], cmd: AddMember, facts: InviteeRecord) -> InvitationReply:
    """Invite a user. Raises: Invalid, Forbidden, AlreadyMember, AlreadyInvited, LimitReached."""
    managers_only(business)
    check = Validator()
    role = Role(cmd.role)
    check.manager_right(role, cmd.manager)
    working = check.hours("working", cmd.working, business.state.zone)
    check.raise_problems()
    if cmd.manager:
        owner_only(business)
    _bounds(business.state, cmd.user_id)
    place = next((one for one in range(INVITATIONS_OF_PERSON_MAX) if one not in facts.taken), None)
    if place is None:
        raise LimitReached(limit="invitations_of_person", max=INVITATIONS_OF_PERSON_MAX)
    row = _row(business, cmd, place, working)
    business.claim_key(INVITATION_PLACE, _place(row.user_id, place))
    business.emit(
        BusinessMemberInvited(
            invitation_id=row.id,
            user_id=row.user_id,
            role=role,
            manager=row.manager,
            place=place,
            expires_at=row.expires_at,
        )
    )
    business.put(row)
    expire = ExpireInvitation(business_id=row.business_id, invitation_id=row.id)
    business.set_timer(_timer(row.id), row.expires_at, expire)
    business.send(Ref(Kind.USER, row.user_id), _information(row))
    return invitation_reply(row)


def _bounds(state: BusinessState, user_id: UserId) -> None:
    """Raises: AlreadyMember, AlreadyInvited, LimitReached."""
    if user_id in state.members:
        raise AlreadyMember(user_id=str(user_id))
    people = state.invitations.people
    if (invited := people.get(user_id)) is not None:
        raise AlreadyInvited(status=invited.status.value)
    if len(people) >= INVITATIONS_MAX:
        raise LimitReached(limit="invitations", max=INVITATIONS_MAX)
    if len(state.members) + state.invitations.open >= MEMBERS_MAX:
        raise LimitReached(limit="members", max=MEMBERS_MAX)


def _row(business: Actor[BusinessState], cmd: AddMember, place: int, working: OpenHours | None) -> InvitationRow:
    return InvitationRow(
        id=InvitationId(business.new_id()),
        business_id=BusinessId(business.actor_id),
        user_id=cmd.user_id,
        place=place,
        role=Role(cmd.role),
        manager=cmd.manager,
        bio=cmd.bio,
        working=working,
        status=InvitationStatus.INVITED,
        invited_at=business.now,
        expires_at=business.now + INVITATION_LIFETIME,
    )


def _information(row: InvitationRow) -> InformOfInvitation:
    return InformOfInvitation(
        user_id=row.user_id,
        invitation_id=row.id,
        business_id=row.business_id,
        role=row.role,
        manager=row.manager,
        expires_at=row.expires_at,
    )


# Answers


@handles(AdmitMember, facts=InvitationRecord, asks=_invitation)
def admit(business: Actor[BusinessState], cmd: AdmitMember, facts: InvitationRecord) -> None:
    """Make the person who has accepted a member; tell their user if the invitation no longer stands."""
    invited = business.state.invitations.people.get(cmd.user_id)
    if invited is None or invited.invitation_id != cmd.invitation_id or not invited.is_open or facts.row is None:
        end = EndJoining(
            user_id=cmd.user_id, business_id=BusinessId(business.actor_id), invitation_id=cmd.invitation_id
        )
        business.send(Ref(Kind.USER, cmd.user_id), end)
        return
    serves = invited.role is Role.STAFF
    event = BusinessMemberAdded(user_id=cmd.user_id, role=invited.role, manager=invited.manager, serves=serves)
    emit_to_managers(business, event, cmd.user_id)
    put_member(business, cmd.user_id, bio=facts.row.bio, working=_in_zone(facts.row.working, business.state.zone))
    business.drop("invitations", id=cmd.invitation_id)
    business.release_key(INVITATION_PLACE, _place(cmd.user_id, invited.place))
    business.cancel_timer(_timer(cmd.invitation_id))
    grant(business, cmd.user_id)


@handles(WithdrawInvitation, facts=InvitationRecord, asks=_invitation)
def withdraw(business: Actor[BusinessState], cmd: WithdrawInvitation, facts: InvitationRecord) -> None:
    """Withdraw an open invitation. Raises: Forbidden, NotFound."""
    managers_only(business)
    found = business.state.invitations.find(cmd.invitation_id)
    if found is None or not found[1].is_open:
        raise NotFound(entity="invitation", id=str(cmd.invitation_id))
    if found[1].manager:
        owner_only(business)
    _close(business, found[0], facts, InvitationStatus.WITHDRAWN)


@handles(RecordDecline, facts=InvitationRecord, asks=_invitation)
def record_decline(business: Actor[BusinessState], cmd: RecordDecline, facts: InvitationRecord) -> None:
    """Close the invitation that the person declined, unless it is closed."""
    found = business.state.invitations.find(cmd.invitation_id)
    if found is not None and found[1].is_open:
        _close(business, found[0], facts, InvitationStatus.DECLINED)


def _close(business: Actor[BusinessState], user_id: UserId, facts: InvitationRecord, status: InvitationStatus) -> None:
    assert facts.row is not None, "the state names an invitation without a row"
    business.emit(BusinessInvitationClosed(invitation_id=facts.row.id, user_id=user_id, status=status))
    business.put(replace(facts.row, status=status))
    business.release_key(INVITATION_PLACE, _place(user_id, facts.row.place))


@handles(ExpireInvitation)
def expire(business: Actor[BusinessState], cmd: ExpireInvitation) -> None:
    """Delete an invitation whose time is over."""
    found = business.state.invitations.find(cmd.invitation_id)
    if found is None:
        return
    user_id, invited = found
    business.emit(BusinessInvitationExpired(invitation_id=cmd.invitation_id, user_id=user_id))
    business.drop("invitations", id=cmd.invitation_id)
    if invited.is_open:
        business.release_key(INVITATION_PLACE, _place(user_id, invited.place))


def _place(user_id: UserId, place: int) -> str:
    return f"{user_id}/{place}"


def _timer(invitation_id: InvitationId) -> str:
    return f"invitation/{invitation_id}"


def _in_zone(working: OpenHours | None, zone: str) -> OpenHours | None:
    """The local times in the zone that the business has now."""
    return None if working is None else replace(working, zone=zone)


@applies(BusinessMemberInvited, BusinessInvitationClosed, BusinessInvitationExpired)
def _changed(
    invitations: Invitations, event: BusinessMemberInvited | BusinessInvitationClosed | BusinessInvitationExpired
) -> Invitations:
    match event:
        case BusinessMemberInvited():
            invited = Invited(event.invitation_id, event.role, event.manager, event.place)
            return Invitations({**invitations.people, event.user_id: invited})
        case BusinessInvitationClosed():
            closed = replace(invitations.people[event.user_id], status=event.status)
            return Invitations({**invitations.people, event.user_id: closed})
        case BusinessInvitationExpired():
            return invitations.without(event.user_id)
