"""Invitations: the invited user decides, and keeps the default role (rule P-11)."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from actors.user.actor import User
from protocol.business.commands import AcceptInvitation, AdmitMember, DeclineInvitation, RecordDecline
from protocol.business.facts import InvitationRecord
from protocol.business.rows import InvitationRow
from protocol.business.terms import InvitationStatus
from protocol.effects import Send
from protocol.errors import LimitReached, NotFound
from protocol.events import Event
from protocol.ids import SYSTEM, BusinessId, InvitationId, Kind, Ref, SessionId, UserId
from protocol.notification.rows import OutboxEntry
from protocol.registry import Command
from protocol.roles import Principal, Role
from protocol.user.commands import EndJoining, GrantRole, InformOfInvitation, OpenSession
from protocol.user.events import RoleGranted, UserInvited, UserJoining, UserNotJoined, UserSignedUp
from protocol.user.terms import EMPLOYMENTS_MAX
from protocol.user.views import SessionGrant
from tests.support.actors import ACTOR_ID, Decided, decide
from tests.support.effects import of

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
PIA, STRANGER = UserId(ACTOR_ID), UserId(UUID(int=9))
SALON = BusinessId(UUID(int=201))
INVITATION = InvitationId(UUID(int=301))
ROW = InvitationRow(
    id=INVITATION,
    business_id=SALON,
    user_id=PIA,
    place=0,
    role=Role.EMPLOYEE,
    manager=False,
    bio="",
    working=None,
    status=InvitationStatus.INVITED,
    invited_at=NOW - timedelta(days=1),
    expires_at=NOW + timedelta(days=13),
)
FOUND = InvitationRecord(row=ROW)
SIGNED_UP = UserSignedUp(is_email_verified=True, at=NOW)
JOINING = UserJoining(invitation_id=INVITATION, business_id=SALON)
ACCEPT = AcceptInvitation(invitation_id=INVITATION)
DECLINE = DeclineInvitation(invitation_id=INVITATION)
GRANT = GrantRole(user_id=PIA, role=Role.EMPLOYEE, business_id=SALON)
END = EndJoining(user_id=PIA, business_id=SALON, invitation_id=INVITATION)
ME = Principal(user_id=PIA, role=Role.CUSTOMER, roles=frozenset({Role.CUSTOMER}))
SERVER = Principal(user_id=SYSTEM, role=Role.SYSTEM, roles=frozenset({Role.SYSTEM}))


def given(command: Command, principal: Principal = ME, facts: Any = None, *events: Event) -> Decided:
    return decide(User, [SIGNED_UP, *events], command, principal, NOW, facts)


def employed(number: int) -> list[Event]:
    """The events of a user who works in that many businesses."""
    return [RoleGranted(role=Role.STAFF, business_id=BusinessId(UUID(int=1000 + one))) for one in range(number)]


def signed_in(*events: Event) -> SessionGrant:
    """The session that the next sign-in opens."""
    command = OpenSession(
        user_id=PIA,
        session_id=SessionId(UUID(int=1)),
        device="web",
        device_mark=b"d" * 8,
        refresh_hash=b"1" * 32,
        family_hash=b"f" * 16,
        lifetime_s=60,
    )
    reply = given(command, SERVER, None, *events).reply
    assert isinstance(reply, SessionGrant)
    return reply


@pytest.mark.parametrize("verified", [True, False])
def test_only_a_verified_address_gets_an_e_mail(verified: bool) -> None:
    inform = InformOfInvitation(
        user_id=PIA,
        invitation_id=INVITATION,
        business_id=SALON,
        role=Role.EMPLOYEE,
        manager=False,
        expires_at=ROW.expires_at,
    )

    decided = decide(User, [UserSignedUp(is_email_verified=verified, at=NOW)], inform, SERVER, NOW)

    (event,) = decided.events
    assert isinstance(event, UserInvited)
    assert event.by_email is verified
    assert any(isinstance(getattr(effect, "row", None), OutboxEntry) for effect in decided.effects)


def test_the_business_is_asked_after_the_user_s_own_decision() -> None:
    decided = given(ACCEPT, ME, FOUND)

    admit = AdmitMember(business_id=SALON, invitation_id=INVITATION, user_id=PIA)
    assert decided.events == [JOINING]
    assert [(one.to, one.command) for one in of(decided.effects, Send)] == [(Ref(Kind.BUSINESS, SALON), admit)]


def test_accepting_again_asks_nobody_again() -> None:
    decided = given(ACCEPT, ME, FOUND, JOINING)

    assert (decided.events, decided.effects) == ([], [])


def test_the_bound_is_checked_before_anything_exists() -> None:
    decided = given(ACCEPT, ME, FOUND, *employed(EMPLOYMENTS_MAX))

    assert isinstance(decided.reply, LimitReached)
    assert decided.effects == []


def test_an_accepted_invitation_counts_before_its_role_arrives() -> None:
    decided = given(
        replace(ACCEPT, invitation_id=InvitationId(UUID(int=302))),
        ME,
        InvitationRecord(row=replace(ROW, id=InvitationId(UUID(int=302)), business_id=BusinessId(UUID(int=202)))),
        *employed(EMPLOYMENTS_MAX - 1),
        JOINING,
    )

    assert isinstance(decided.reply, LimitReached)


@pytest.mark.parametrize("command", [ACCEPT, DECLINE])
@pytest.mark.parametrize(
    "row",
    [
        None,
        replace(ROW, user_id=STRANGER),
        replace(ROW, status=InvitationStatus.WITHDRAWN),
        replace(ROW, expires_at=NOW),
    ],
)
def test_only_an_open_invitation_of_one_s_own_is_answered(command: Command, row: InvitationRow | None) -> None:
    assert isinstance(given(command, ME, InvitationRecord(row=row)).reply, NotFound)


def test_a_refusal_goes_to_the_business() -> None:
    decided = given(DECLINE, ME, FOUND)

    assert [one.command for one in of(decided.effects, Send)] == [
        RecordDecline(business_id=SALON, invitation_id=INVITATION)
    ]


def test_a_role_by_invitation_does_not_become_the_default() -> None:
    granted = given(GRANT, SERVER, None, JOINING).events

    assert signed_in(JOINING, *granted).role is Role.CUSTOMER
    assert Role.EMPLOYEE in signed_in(JOINING, *granted).roles


def test_a_business_of_one_s_own_stays_the_default() -> None:
    owner = RoleGranted(role=Role.OWNER, business_id=BusinessId(UUID(int=202)), manager=True)

    assert signed_in(owner, *given(GRANT, SERVER, None, owner, JOINING).events).role is Role.OWNER


def test_many_memberships_never_keep_an_owner_s_role_away() -> None:
    grant = GrantRole(user_id=PIA, role=Role.OWNER, business_id=SALON, manager=True)

    assert given(grant, SERVER, None, *employed(40)).events


def test_an_acceptance_that_came_too_late_is_forgotten() -> None:
    assert given(END, SERVER, None, JOINING).events == [UserNotJoined(invitation_id=INVITATION, business_id=SALON)]
    assert given(END, SERVER, None).events == []
