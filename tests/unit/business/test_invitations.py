"""Invitations: a person becomes a member when they accept, and nobody else decides it (rule P-11)."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from actors.business.actor import Business
from protocol.business.commands import AddMember, AdmitMember, ExpireInvitation, RecordDecline, WithdrawInvitation
from protocol.business.events import (
    BusinessInvitationClosed,
    BusinessInvitationExpired,
    BusinessMemberAdded,
    BusinessMemberInvited,
    BusinessRegistered,
)
from protocol.business.facts import InvitationRecord, InviteeRecord
from protocol.business.rows import BusinessMemberRow, InvitationRow
from protocol.business.terms import (
    INVITATION_LIFETIME,
    INVITATION_PLACE,
    INVITATIONS_MAX,
    INVITATIONS_OF_PERSON_MAX,
    MEMBERS_MAX,
    AlreadyInvited,
    AlreadyMember,
    InvitationStatus,
    MemberRole,
    Week,
)
from protocol.business.views import InvitationReply
from protocol.effects import CancelTimer, ClaimKey, DropRow, PutRow, ReleaseKey, Send, SetTimer
from protocol.errors import Forbidden, Invalid, LimitReached, NotFound
from protocol.events import Event
from protocol.ids import SYSTEM, BusinessId, InvitationId, Kind, Ref, UserId
from protocol.instants import LocalSpan
from protocol.registry import Command
from protocol.roles import Principal, Role
from protocol.user.commands import EndJoining, GrantRole, InformOfInvitation
from tests.support.actors import ACTOR_ID, Decided, decide
from tests.support.effects import of

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
SALON = BusinessId(ACTOR_ID)
OLGA, MARTA, SAM, PIA = (UserId(UUID(int=number)) for number in range(1, 5))
INVITATION = InvitationId(UUID(int=301))
WEEK = Week(week=((LocalSpan(540, 1020),),) * 7)
TEAM = [
    BusinessRegistered(
        owner_id=OLGA, serves=True, category="hair", zone="Europe/Berlin", currency="EUR", commission_bp=1000
    ),
    BusinessMemberAdded(user_id=MARTA, role=Role.EMPLOYEE, manager=True, serves=False),
    BusinessMemberAdded(user_id=SAM, role=Role.STAFF, manager=False, serves=True),
]
INVITED = BusinessMemberInvited(
    invitation_id=INVITATION,
    user_id=PIA,
    role=Role.STAFF,
    manager=False,
    place=2,
    expires_at=NOW + INVITATION_LIFETIME,
)
ROW = InvitationRow(
    id=INVITATION,
    business_id=SALON,
    user_id=PIA,
    place=2,
    role=Role.STAFF,
    manager=False,
    bio="Curls",
    working=WEEK.in_zone("Europe/Paris"),
    status=InvitationStatus.INVITED,
    invited_at=NOW,
    expires_at=NOW + INVITATION_LIFETIME,
)
DECLINED = BusinessInvitationClosed(invitation_id=INVITATION, user_id=PIA, status=InvitationStatus.DECLINED)

INVITE = AddMember(business_id=SALON, user_id=PIA, role=MemberRole.STAFF, bio="Curls", working=WEEK)
ADMIT = AdmitMember(business_id=SALON, invitation_id=INVITATION, user_id=PIA)
DECLINE = RecordDecline(business_id=SALON, invitation_id=INVITATION)
WITHDRAW = WithdrawInvitation(business_id=SALON, invitation_id=INVITATION)
EXPIRE = ExpireInvitation(business_id=SALON, invitation_id=INVITATION)
NONE_TAKEN = InviteeRecord(taken=())
FOUND = InvitationRecord(row=ROW)


def acting(user_id: UserId, role: Role) -> Principal:
    manager = role is not Role.STAFF
    return Principal(user_id=user_id, role=role, roles=frozenset({role}), business_id=SALON, manager=manager)


OWNER, MANAGER, STAFF = acting(OLGA, Role.OWNER), acting(MARTA, Role.EMPLOYEE), acting(SAM, Role.STAFF)
SERVER = Principal(user_id=SYSTEM, role=Role.SYSTEM, roles=frozenset({Role.SYSTEM}))


def given(command: Command, principal: Principal, facts: Any, *events: Event) -> Decided:
    return decide(Business, [*TEAM, *events], command, principal, NOW, facts)


def sent(decided: Decided) -> list[Any]:
    return [effect.command for effect in of(decided.effects, Send)]


def rows(decided: Decided, kind: type[Any]) -> list[Any]:
    return [effect.row for effect in of(decided.effects, PutRow) if isinstance(effect.row, kind)]


def refusal(decided: Decided, kind: type[Exception]) -> dict[str, Any]:
    assert isinstance(decided.reply, kind), decided.reply
    fields: dict[str, Any] = decided.reply.fields
    return fields


class TestInviting:
    def test_an_invitation_makes_no_member_and_grants_nothing(self) -> None:
        decided = given(INVITE, MANAGER, NONE_TAKEN)

        assert [type(event) for event in decided.events] == [BusinessMemberInvited]
        assert rows(decided, BusinessMemberRow) == []
        assert [type(command) for command in sent(decided)] == [InformOfInvitation]
        assert isinstance(decided.reply, InvitationReply)
        assert decided.reply.status is InvitationStatus.INVITED

    def test_it_keeps_one_of_the_person_s_places_until_it_expires(self) -> None:
        decided = given(INVITE, OWNER, InviteeRecord(taken=(0, 1)))

        assert of(decided.effects, ClaimKey) == [ClaimKey(INVITATION_PLACE, f"{PIA}/2", SALON)]
        (timer,) = of(decided.effects, SetTimer)
        assert timer.due_at == NOW + timedelta(days=14)

    def test_one_person_s_open_invitations_are_bounded(self) -> None:
        full = InviteeRecord(taken=tuple(range(INVITATIONS_OF_PERSON_MAX)))

        assert refusal(given(INVITE, OWNER, full), LimitReached)["limit"] == "invitations_of_person"

    def test_an_open_invitation_keeps_a_member_s_place(self) -> None:
        crowd = [
            BusinessMemberAdded(user_id=UserId(UUID(int=number)), role=Role.STAFF, manager=False, serves=True)
            for number in range(100, 100 + MEMBERS_MAX - len(TEAM) - 1)
        ]
        other = AddMember(business_id=SALON, user_id=UserId(UUID(int=99)), role=MemberRole.STAFF)

        assert given(INVITE, OWNER, NONE_TAKEN, *crowd).events
        assert refusal(given(other, OWNER, NONE_TAKEN, *crowd, INVITED), LimitReached)["limit"] == "members"

    def test_declined_invitations_count_until_they_expire(self) -> None:
        refused: list[Event] = []
        for number in range(500, 500 + INVITATIONS_MAX):
            user_id, invitation_id = UserId(UUID(int=number)), InvitationId(UUID(int=number))
            refused += [
                BusinessMemberInvited(
                    invitation_id=invitation_id,
                    user_id=user_id,
                    role=Role.STAFF,
                    manager=False,
                    place=0,
                    expires_at=NOW,
                ),
                BusinessInvitationClosed(
                    invitation_id=invitation_id, user_id=user_id, status=InvitationStatus.DECLINED
                ),
            ]

        assert refusal(given(INVITE, OWNER, NONE_TAKEN, *refused), LimitReached)["limit"] == "invitations"

    def test_members_are_not_invited(self) -> None:
        again = AddMember(business_id=SALON, user_id=SAM, role=MemberRole.EMPLOYEE)

        refusal(given(again, OWNER, NONE_TAKEN), AlreadyMember)

    @pytest.mark.parametrize(("before", "status"), [((INVITED,), "invited"), ((INVITED, DECLINED), "declined")])
    def test_one_person_is_not_invited_twice_in_the_time_of_an_invitation(
        self, before: tuple[Event, ...], status: str
    ) -> None:
        assert refusal(given(INVITE, OWNER, NONE_TAKEN, *before), AlreadyInvited) == {"status": status}

    def test_only_managers_invite(self) -> None:
        assert refusal(given(INVITE, STAFF, NONE_TAKEN), Forbidden) == {"reason": "managers_only"}

    def test_only_employees_are_managers(self) -> None:
        manager = AddMember(business_id=SALON, user_id=PIA, role=MemberRole.STAFF, manager=True)

        assert refusal(given(manager, OWNER, NONE_TAKEN), Invalid) == {"manager": "employees_only"}

    def test_only_the_owner_invites_managers(self) -> None:
        manager = AddMember(business_id=SALON, user_id=PIA, role=MemberRole.EMPLOYEE, manager=True)

        assert refusal(given(manager, MANAGER, NONE_TAKEN), Forbidden) == {"reason": "owner_only"}
        assert given(manager, OWNER, NONE_TAKEN).events


class TestAnswers:
    def test_the_accepting_person_becomes_a_member_and_gets_the_role(self) -> None:
        decided = given(ADMIT, SERVER, FOUND, INVITED)

        assert decided.events == [BusinessMemberAdded(user_id=PIA, role=Role.STAFF, manager=False, serves=True)]
        (member,) = rows(decided, BusinessMemberRow)
        assert (member.user_id, member.bio, member.working) == (PIA, "Curls", WEEK.in_zone("Europe/Berlin"))
        assert sent(decided) == [GrantRole(user_id=PIA, role=Role.STAFF, business_id=SALON)]

    def test_nothing_of_an_accepted_invitation_is_left(self) -> None:
        decided = given(ADMIT, SERVER, FOUND, INVITED)

        assert [effect.table for effect in of(decided.effects, DropRow)] == ["invitations"]
        assert of(decided.effects, ReleaseKey) == [ReleaseKey(INVITATION_PLACE, f"{PIA}/2")]
        assert len(of(decided.effects, CancelTimer)) == 1

    @pytest.mark.parametrize("before", [(), (INVITED, DECLINED)])
    def test_an_acceptance_that_comes_too_late_is_taken_back(self, before: tuple[Event, ...]) -> None:
        decided = given(ADMIT, SERVER, FOUND, *before)

        end = EndJoining(user_id=PIA, business_id=SALON, invitation_id=INVITATION)
        assert decided.events == []
        assert [(effect.to, effect.command) for effect in of(decided.effects, Send)] == [(Ref(Kind.USER, PIA), end)]

    def test_a_declined_invitation_frees_the_person_s_place(self) -> None:
        decided = given(DECLINE, SERVER, FOUND, INVITED)

        assert decided.events == [DECLINED]
        assert of(decided.effects, ReleaseKey) == [ReleaseKey(INVITATION_PLACE, f"{PIA}/2")]

    def test_a_manager_withdraws_an_open_invitation_once(self) -> None:
        withdrawn = given(WITHDRAW, MANAGER, FOUND, INVITED)

        (event,) = withdrawn.events
        assert isinstance(event, BusinessInvitationClosed)
        assert event.status is InvitationStatus.WITHDRAWN
        refusal(given(WITHDRAW, MANAGER, FOUND, INVITED, event), NotFound)

    def test_staff_do_not_withdraw_it(self) -> None:
        assert refusal(given(WITHDRAW, STAFF, FOUND, INVITED), Forbidden) == {"reason": "managers_only"}

    def test_an_expired_invitation_disappears(self) -> None:
        decided = given(EXPIRE, SERVER, None, INVITED)

        assert decided.events == [BusinessInvitationExpired(invitation_id=INVITATION, user_id=PIA)]
        assert [effect.table for effect in of(decided.effects, DropRow)] == ["invitations"]
        assert len(of(decided.effects, ReleaseKey)) == 1

    def test_the_place_of_a_declined_one_is_not_released_again(self) -> None:
        assert of(given(EXPIRE, SERVER, None, INVITED, DECLINED).effects, ReleaseKey) == []
