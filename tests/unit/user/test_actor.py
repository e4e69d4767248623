"""Users: roles are given by others, sessions rotate their tokens, and a token used twice ends its session.

Rules P-1, P-4.
"""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.user.actor import User
from actors.user.state import UserState
from protocol.delivery.channels import Channel
from protocol.effects import ClaimKey, Effect, PutRow
from protocol.errors import Forbidden, Invalid, NotFound, Rejected, Unauthenticated
from protocol.events import Event
from protocol.ids import SYSTEM, BusinessId, SessionId, UserId
from protocol.notice.commands import TakeNotice
from protocol.notice.events import NotificationSent
from protocol.notice.rows import Notice
from protocol.registry import Command
from protocol.roles import Principal, Role
from protocol.user.commands import (
    DisableUser,
    EnableUser,
    EndSession,
    GrantRole,
    OpenSession,
    RehashPassword,
    RevokeRole,
    RevokeSession,
    RevokeSessions,
    RotateSession,
    SignUp,
    SwitchRole,
)
from protocol.user.events import (
    RoleGranted,
    RoleRevoked,
    RoleSwitched,
    SessionEnded,
    SessionOpened,
    SessionRefreshed,
    SessionRevoked,
    UserDisabled,
    UserSignedUp,
)
from protocol.user.rows import Credentials, Person, UserRow
from protocol.user.terms import (
    DEVICE_MARKS_MAX,
    REFRESH_GRACE_S,
    REFRESH_PASSED_OVER_MAX,
    REFRESH_SIBLINGS_MAX,
    SESSIONS_MAX,
    UNIQUE_EMAIL,
    AccountDisabled,
    Acting,
    Membership,
    RevokeReason,
)
from protocol.user.views import Rotated, SessionGrant
from tests.support.actors import ACTOR_ID, Decided, decide, replay

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
ADA = UserId(ACTOR_ID)
PHONE = SessionId(UUID(int=101))
LAPTOP = SessionId(UUID(int=102))
SALON = BusinessId(UUID(int=201))
GARAGE = BusinessId(UUID(int=202))
LIFETIME_S = 30 * 86_400
SERVER = Principal(user_id=SYSTEM, role=Role.SYSTEM, roles=frozenset({Role.SYSTEM}))
SIGNED_UP = UserSignedUp(at=NOW)
CUSTOMER = Acting()
#: The hash of what the refresh tokens of a session share.
FAMILY = sha256(b"family").digest()


def token(number: int) -> bytes:
    """The hash of one of the refresh tokens of these tests."""
    return sha256(number.to_bytes(4, "big")).digest()


def ada(session_id: SessionId | None = PHONE) -> Principal:
    return Principal(user_id=ADA, role=Role.CUSTOMER, roles=frozenset({Role.CUSTOMER}), session_id=session_id)


def tell(events: list[Event], command: Command, principal: Principal = SERVER, *, after_s: float = 0) -> Decided:
    return decide(User, events, command, principal, NOW + timedelta(seconds=after_s))


def opened(
    session_id: SessionId = PHONE,
    number: int = 1,
    *,
    after_s: float = 0,
    acting: Acting = CUSTOMER,
    device_mark: bytes = b"web",
) -> list[Event]:
    """The events of a sign-in."""
    at = NOW + timedelta(seconds=after_s)
    expires_at = at + timedelta(seconds=LIFETIME_S)
    return [
        SessionOpened(
            session_id=session_id,
            device="web",
            role=acting.role,
            business_id=acting.business_id,
            expires_at=expires_at,
            at=at,
        ),
        SessionRefreshed(
            session_id=session_id,
            refresh_hash=token(number),
            family_hash=FAMILY,
            device_mark=device_mark,
            expires_at=expires_at,
            at=at,
        ),
    ]


def open_session(session_id: SessionId, number: int, device_mark: bytes = b"web") -> OpenSession:
    return OpenSession(
        user_id=ADA,
        session_id=session_id,
        device="web",
        refresh_hash=token(number),
        family_hash=FAMILY,
        device_mark=device_mark,
        lifetime_s=LIFETIME_S,
    )


def rotate(presented: int, fresh: int, session_id: SessionId = PHONE, *, family_hash: bytes = FAMILY) -> RotateSession:
    return RotateSession(
        user_id=ADA,
        session_id=session_id,
        presented_hash=token(presented),
        refresh_hash=token(fresh),
        family_hash=family_hash,
        lifetime_s=LIFETIME_S,
    )


def granted(role: Role, business_id: BusinessId | None, *, manager: bool = False) -> RoleGranted:
    return RoleGranted(role=role, business_id=business_id, manager=manager)


def rows(effects: list[Effect], kind: type[Any]) -> list[Any]:
    return [effect.row for effect in effects if isinstance(effect, PutRow) and isinstance(effect.row, kind)]


class TestSignUp:
    COMMAND = SignUp(
        email="Ada@example.com", name="Ada Lovelace", phone_number="+4930901820", password_hash="$argon2id$"
    )

    def test_everybody_begins_as_a_customer_and_nothing_else(self) -> None:
        events, _, _ = tell([], self.COMMAND)

        assert events == [SIGNED_UP]
        assert replay(User, events).memberships == (Membership(Role.CUSTOMER),)

    def test_an_address_belongs_to_one_account_in_whatever_case(self) -> None:
        effects = tell([], self.COMMAND).effects

        assert ClaimKey(UNIQUE_EMAIL, "ada@example.com", ADA) in effects

    def test_contact_data_and_hash_are_rows_and_nothing_of_them_is_in_events_or_state(self) -> None:
        events, effects, _ = tell([], self.COMMAND)

        (person,) = rows(effects, Person)
        assert (person.email, person.name, person.phone_number) == ("Ada@example.com", "Ada Lovelace", "+4930901820")
        assert rows(effects, Credentials) == [Credentials(user_id=ADA, password_hash="$argon2id$", password_version=1)]
        kept = f"{events} {replay(User, events)} {rows(effects, UserRow)}"
        assert not [secret for secret in ("example.com", "Lovelace", "+49", "argon2") if secret in kept]

    def test_an_account_without_a_password_has_no_credentials(self) -> None:
        assert rows(tell([], SignUp(email="ada@example.com", name="Ada")).effects, Credentials) == []

    def test_what_is_confidential_is_not_printed(self) -> None:
        effects = tell([], self.COMMAND).effects

        assert "Lovelace" not in repr([self.COMMAND, effects])
        assert "argon2" not in repr([self.COMMAND, effects])


class TestRehashPassword:
    COMMAND = RehashPassword(user_id=ADA, password_hash="stronger", password_version=1)

    def test_the_same_password_gets_the_stronger_hash_and_nothing_has_happened(self) -> None:
        events, effects, _ = tell([SIGNED_UP], self.COMMAND)

        assert events == []
        assert effects == [PutRow(Credentials(user_id=ADA, password_hash="stronger", password_version=1))]

    def test_a_password_that_was_changed_meanwhile_stays(self) -> None:
        stale = RehashPassword(user_id=ADA, password_hash="stronger", password_version=0)

        assert tell([SIGNED_UP], stale).effects == []


class TestOpenSession:
    def test_a_sign_in_opens_a_session_of_thirty_days(self) -> None:
        events, effects, reply = tell([SIGNED_UP], open_session(PHONE, 1))

        assert events == opened()
        assert reply == SessionGrant(
            session_id=PHONE,
            role=Role.CUSTOMER,
            roles=(Role.CUSTOMER,),
            business_id=None,
            manager=False,
            roles_version=0,
        )
        (row,) = rows(effects, UserRow)
        assert row.last_login_at == NOW
        assert [one.session_id for one in row.sessions] == [PHONE]

    def test_a_device_is_new_once_and_the_first_one_never(self) -> None:
        events: list[Event] = [SIGNED_UP]
        new = []
        for number, mark in enumerate([b"web", b"web", b"phone", b"web", b"phone"], 1):
            decided = tell(events, open_session(SessionId(UUID(int=number)), number, mark), after_s=number)
            (one,) = [event for event in decided.events if isinstance(event, SessionOpened)]
            new.append(one.new_device)
            events += decided.events

        assert new == [False, False, True, False, False]

    def test_the_devices_that_are_known_again_are_bounded(self) -> None:
        events: list[Event] = [SIGNED_UP]
        for number in range(2 * DEVICE_MARKS_MAX):
            events += opened(PHONE, number, after_s=number, device_mark=bytes([number]))

        marks = replay(User, events).device_marks

        assert (len(marks), marks[-1]) == (DEVICE_MARKS_MAX, bytes([2 * DEVICE_MARKS_MAX - 1]))

    def test_the_hash_of_a_token_has_no_recipients(self) -> None:
        turns: list[Any] = []

        class Listening(User):
            def __init__(self, *args: Any) -> None:
                super().__init__(*args)
                turns.append(self)

        Listening.handlers = User.handlers
        decide(Listening, [SIGNED_UP], open_session(PHONE, 1), SERVER, NOW)

        heard = {type(one.event): one.audience for one in turns[0].emitted}
        assert heard == {SessionOpened: (ADA,), SessionRefreshed: ()}

    def test_an_unknown_user_has_no_sessions(self) -> None:
        assert isinstance(tell([], open_session(PHONE, 1)).reply, NotFound)

    def test_with_one_device_too_many_the_one_quiet_for_longest_goes(self) -> None:
        sessions = [SessionId(UUID(int=number)) for number in range(SESSIONS_MAX)]
        events: list[Event] = [SIGNED_UP]
        for number, session_id in enumerate(sessions):
            events += opened(session_id, number, after_s=number)
        events += tell(events, rotate(0, 50, sessions[0]), after_s=100).events

        decided = tell(events, open_session(LAPTOP, 51), after_s=200)

        assert decided.events[0] == SessionRevoked(
            session_id=sessions[1], reason=RevokeReason.DISPLACED, at=NOW + timedelta(seconds=200)
        )
        assert len(replay(User, events + decided.events).sessions) == SESSIONS_MAX

    def test_expired_sessions_make_room_without_being_revoked(self) -> None:
        events: list[Event] = [SIGNED_UP]
        for number in range(SESSIONS_MAX):
            events += opened(SessionId(UUID(int=number)), number)

        decided = tell(events, open_session(LAPTOP, 51), after_s=LIFETIME_S)

        assert [type(event) for event in decided.events] == [SessionOpened, SessionRefreshed]
        assert [one.session_id for one in replay(User, events + decided.events).sessions] == [LAPTOP]

    @pytest.mark.parametrize(
        ("memberships", "expected"),
        [
            ([], CUSTOMER),
            ([granted(Role.STAFF, SALON)], Acting(Role.STAFF, SALON)),
            ([granted(Role.STAFF, SALON), granted(Role.OWNER, GARAGE, manager=True)], Acting(Role.OWNER, GARAGE)),
            ([granted(Role.EMPLOYEE, SALON), granted(Role.EMPLOYEE, GARAGE)], Acting(Role.EMPLOYEE, SALON)),
        ],
    )
    def test_who_never_chose_acts_as_the_most_that_they_may(self, memberships: list[Event], expected: Acting) -> None:
        reply = tell([SIGNED_UP, *memberships], open_session(PHONE, 1)).reply

        assert isinstance(reply, SessionGrant)
        assert Acting(reply.role, reply.business_id) == expected

    def test_who_chose_acts_as_that_at_the_next_sign_in_too(self) -> None:
        events: list[Event] = [SIGNED_UP, granted(Role.OWNER, SALON, manager=True), *opened()]
        events += tell(events, SwitchRole(user_id=ADA, session_id=PHONE, role=Role.CUSTOMER)).events

        reply = tell(events, open_session(LAPTOP, 2)).reply

        assert isinstance(reply, SessionGrant)
        assert reply.role is Role.CUSTOMER


class TestRotateSession:
    EVENTS: list[Event] = [SIGNED_UP, *opened()]  # noqa: RUF012 (never changed)

    def test_the_token_in_force_is_exchanged_and_the_session_lives_on(self) -> None:
        events, _, reply = tell(self.EVENTS, rotate(1, 2), after_s=600)

        state: UserState = replay(User, self.EVENTS + events)
        assert isinstance(reply, Rotated)
        assert reply.grant is not None
        assert state.sessions[0].refresh_hash == token(2)
        assert state.sessions[0].expires_at == NOW + timedelta(seconds=600 + LIFETIME_S)

    def test_a_token_that_was_used_before_ends_the_session(self) -> None:
        events = self.EVENTS + tell(self.EVENTS, rotate(1, 2), after_s=600).events

        decided = tell(events, rotate(1, 3), after_s=600 + REFRESH_GRACE_S)

        assert decided.reply == Rotated(grant=None)
        assert decided.events == [
            SessionRevoked(
                session_id=PHONE, reason=RevokeReason.REUSE, at=NOW + timedelta(seconds=600 + REFRESH_GRACE_S)
            )
        ]
        assert replay(User, events + decided.events).sessions == ()

    def test_the_token_before_the_current_one_is_good_for_its_grace_since_a_reply_may_be_lost(self) -> None:
        events = self.EVENTS + tell(self.EVENTS, rotate(1, 2), after_s=600).events

        for seconds, fresh in ((5.0, 3), (REFRESH_GRACE_S - 0.001, 4)):
            decided = tell(events, rotate(1, fresh), after_s=600 + seconds)
            events += decided.events
            assert isinstance(decided.reply, Rotated)
            assert decided.reply.grant is not None
        assert replay(User, events).sessions[0].refresh_hash == token(4)

    def test_the_grace_does_not_grow_by_being_used(self) -> None:
        events = self.EVENTS + tell(self.EVENTS, rotate(1, 2), after_s=600).events
        events += tell(events, rotate(1, 3), after_s=600 + REFRESH_GRACE_S - 1).events

        assert tell(events, rotate(1, 4), after_s=600 + REFRESH_GRACE_S + 1).reply == Rotated(grant=None)

    def test_two_tabs_that_renew_at_once_both_renew_again(self) -> None:
        events = self.EVENTS + tell(self.EVENTS, rotate(1, 2), after_s=600).events
        events += tell(events, rotate(1, 3), after_s=601).events

        for presented, fresh, after_s in ((2, 4, 1200), (3, 5, 1201), (4, 6, 1800), (5, 7, 1809)):
            decided = tell(events, rotate(presented, fresh), after_s=after_s)
            events += decided.events
            assert isinstance(decided.reply, Rotated), (presented, decided.reply)
            assert decided.reply.grant is not None, presented

    def test_a_tab_that_was_passed_over_is_refused_and_the_session_stays(self) -> None:
        events = self.EVENTS + tell(self.EVENTS, rotate(1, 2), after_s=600).events
        events += tell(events, rotate(1, 3), after_s=601).events
        events += tell(events, rotate(3, 4), after_s=1200).events
        events += tell(events, rotate(4, 5), after_s=1800).events

        late = tell(events, rotate(2, 6), after_s=1800)

        assert isinstance(late.reply, Unauthenticated)
        assert (late.events, late.reply.fields) == ([], {"reason": "superseded"})

    def test_a_passed_over_token_that_was_exchanged_in_its_grace_counts_as_used(self) -> None:
        events = self.EVENTS + tell(self.EVENTS, rotate(1, 2), after_s=600).events
        events += tell(events, rotate(1, 3), after_s=601).events
        events += tell(events, rotate(3, 4), after_s=1200).events
        events += tell(events, rotate(2, 5), after_s=1201).events

        assert tell(events, rotate(2, 6), after_s=1200 + REFRESH_GRACE_S).reply == Rotated(grant=None)

    def test_the_grace_of_a_token_outlasts_the_use_of_its_successor(self) -> None:
        events = self.EVENTS + tell(self.EVENTS, rotate(1, 2), after_s=600).events
        events += tell(events, rotate(2, 3), after_s=601).events

        in_grace = tell(events, rotate(1, 4), after_s=600 + REFRESH_GRACE_S - 1)

        assert isinstance(in_grace.reply, Rotated)
        assert in_grace.reply.grant is not None
        events += in_grace.events
        assert tell(events, rotate(1, 5), after_s=600 + REFRESH_GRACE_S).reply == Rotated(grant=None)

    def test_a_token_used_long_ago_ends_the_session(self) -> None:
        events = self.EVENTS
        for number in range(1, 40):
            events = events + tell(events, rotate(number, number + 1), after_s=number * 600).events

        assert tell(events, rotate(2, 99), after_s=40 * 600).reply == Rotated(grant=None)

    def test_siblings_are_bounded_and_the_oldest_is_passed_over(self) -> None:
        events = self.EVENTS + tell(self.EVENTS, rotate(1, 2), after_s=600).events
        for number in range(3, 3 + REFRESH_SIBLINGS_MAX):
            events += tell(events, rotate(1, number), after_s=601).events

        (session,) = replay(User, events).sessions

        assert len(session.siblings) + 1 == REFRESH_SIBLINGS_MAX
        assert [one.token_hash for one in session.passed_over] == [token(2)]

    def test_a_session_remembers_a_bounded_number_of_passed_over_tokens(self) -> None:
        events, newest = self.EVENTS, 1
        for turn in range(2 * REFRESH_PASSED_OVER_MAX):
            used, after_s = newest, 600 * (turn + 1)
            for fresh in (used + 1, used + 2):
                events = events + tell(events, rotate(used, fresh), after_s=after_s).events
            newest = used + 2

        (session,) = replay(User, events).sessions

        assert len(session.passed_over) == REFRESH_PASSED_OVER_MAX
        assert len(session.used) <= REFRESH_SIBLINGS_MAX

    def test_a_secret_that_was_never_given_out_does_not_end_the_session(self) -> None:
        for presented_hash in (b"", token(77)):
            forged = replace(rotate(1, 2, family_hash=sha256(b"another").digest()), presented_hash=presented_hash)

            decided = tell(self.EVENTS, forged, after_s=1)

            assert isinstance(decided.reply, Unauthenticated)
            assert (decided.events, decided.reply.fields) == ([], {"reason": "invalid"})

    def test_a_session_from_before_siblings_goes_on(self) -> None:
        at = NOW + timedelta(seconds=600)
        expires_at = at + timedelta(seconds=LIFETIME_S)
        old: list[Event] = [
            *self.EVENTS[:-1],
            SessionRefreshed(session_id=PHONE, refresh_hash=token(1), expires_at=expires_at, at=NOW),
            SessionRefreshed(session_id=PHONE, refresh_hash=token(2), expires_at=expires_at, at=at),
        ]

        assert tell(old, rotate(1, 3), after_s=600 + REFRESH_GRACE_S).reply == Rotated(grant=None)
        for presented in (1, 2):
            decided = tell(old, rotate(presented, 3), after_s=601)
            assert isinstance(decided.reply, Rotated)
            assert decided.reply.grant is not None
            assert replay(User, old + decided.events).sessions[0].family_hash == FAMILY

    def test_a_session_that_is_over_is_not_refreshed(self) -> None:
        reply = tell(self.EVENTS, rotate(1, 2, LAPTOP)).reply

        assert isinstance(reply, Unauthenticated)
        assert reply.fields == {"reason": "revoked"}

    def test_a_session_not_refreshed_in_its_lifetime_has_expired(self) -> None:
        reply = tell(self.EVENTS, rotate(1, 2), after_s=LIFETIME_S).reply

        assert isinstance(reply, Unauthenticated)
        assert reply.fields == {"reason": "expired"}


class TestEndOfSessions:
    EVENTS: list[Event] = [SIGNED_UP, *opened(PHONE, 1), *opened(LAPTOP, 2)]  # noqa: RUF012 (never changed)

    def test_signing_out_ends_the_session_that_asks(self) -> None:
        assert tell(self.EVENTS, EndSession(), ada(PHONE)).events == [SessionEnded(session_id=PHONE, at=NOW)]

    def test_signing_out_twice_is_harmless(self) -> None:
        events = [*self.EVENTS, SessionEnded(session_id=PHONE, at=NOW)]

        assert tell(events, EndSession(), ada(PHONE)) == ([], [], None)

    def test_another_device_can_be_signed_out(self) -> None:
        assert tell(self.EVENTS, RevokeSession(session_id=LAPTOP), ada(PHONE)).events == [
            SessionRevoked(session_id=LAPTOP, reason=RevokeReason.BY_USER, at=NOW)
        ]

    def test_a_session_that_is_not_ones_own_is_not_found(self) -> None:
        assert isinstance(tell(self.EVENTS, RevokeSession(session_id=SessionId(ADA)), ada()).reply, NotFound)

    def test_all_others_go_and_the_one_that_asks_stays(self) -> None:
        events = self.EVENTS + tell(self.EVENTS, RevokeSessions(), ada(LAPTOP)).events

        assert [one.session_id for one in replay(User, events).sessions] == [LAPTOP]


class TestRoles:
    EVENTS: list[Event] = [SIGNED_UP, *opened()]  # noqa: RUF012 (never changed)

    def grant(self, role: Role, business_id: BusinessId | None, *, manager: bool = False) -> GrantRole:
        return GrantRole(user_id=ADA, role=role, business_id=business_id, manager=manager)

    def test_a_business_grants_a_role(self) -> None:
        events = self.EVENTS + tell(self.EVENTS, self.grant(Role.STAFF, SALON)).events

        assert replay(User, events).memberships == (Membership(Role.CUSTOMER), Membership(Role.STAFF, SALON))

    def test_an_owner_is_a_manager(self) -> None:
        assert tell(self.EVENTS, self.grant(Role.OWNER, SALON)).events == [granted(Role.OWNER, SALON, manager=True)]

    def test_a_role_granted_again_changes_nothing(self) -> None:
        events: list[Event] = [*self.EVENTS, granted(Role.STAFF, SALON)]

        assert tell(events, self.grant(Role.STAFF, SALON)) == ([], [], None)

    def test_taking_the_manager_right_makes_earlier_access_tokens_stale_and_giving_it_does_not(self) -> None:
        events: list[Event] = [*self.EVENTS, granted(Role.EMPLOYEE, SALON)]
        events += tell(events, self.grant(Role.EMPLOYEE, SALON, manager=True)).events
        assert replay(User, events).roles_version == 0

        events += tell(events, self.grant(Role.EMPLOYEE, SALON)).events
        assert replay(User, events).roles_version == 1
        assert replay(User, events).memberships[1] == Membership(Role.EMPLOYEE, SALON)

    @pytest.mark.parametrize(
        ("role", "business_id"),
        [
            (Role.STAFF, None),
            (Role.OWNER, None),
            (Role.ADMIN, SALON),
            (Role.SYSTEM, None),
            (Role.CUSTOMER, None),
        ],
    )
    def test_provider_roles_need_a_business_and_the_others_have_none(
        self, role: Role, business_id: BusinessId | None
    ) -> None:
        assert isinstance(tell(self.EVENTS, self.grant(role, business_id)).reply, Invalid)

    def test_a_role_taken_back_makes_earlier_access_tokens_stale(self) -> None:
        events: list[Event] = [*self.EVENTS, granted(Role.STAFF, SALON)]

        assert tell(events, RevokeRole(user_id=ADA, role=Role.STAFF, business_id=SALON)).events == [
            RoleRevoked(role=Role.STAFF, business_id=SALON, roles_version=1)
        ]

    def test_a_user_who_loses_the_active_role_acts_as_a_customer(self) -> None:
        events: list[Event] = [SIGNED_UP, granted(Role.STAFF, SALON), *opened(acting=Acting(Role.STAFF, SALON))]
        events += tell(events, RevokeRole(user_id=ADA, role=Role.STAFF, business_id=SALON)).events

        reply = tell(events, rotate(1, 2)).reply

        assert isinstance(reply, Rotated)
        assert reply.grant is not None
        assert (reply.grant.role, reply.grant.business_id) == (Role.CUSTOMER, None)

    def test_revoking_a_role_that_the_user_does_not_have_does_nothing(self) -> None:
        assert tell(self.EVENTS, RevokeRole(user_id=ADA, role=Role.STAFF, business_id=SALON)) == ([], [], None)

    def test_everybody_stays_a_customer(self) -> None:
        assert isinstance(tell(self.EVENTS, RevokeRole(user_id=ADA, role=Role.CUSTOMER)).reply, Forbidden)


class TestSwitchRole:
    EVENTS: list[Event] = [  # noqa: RUF012 (never changed)
        SIGNED_UP,
        granted(Role.OWNER, SALON, manager=True),
        granted(Role.STAFF, SALON),
        granted(Role.STAFF, GARAGE),
        *opened(),
    ]

    def switch(self, role: Role, business_id: BusinessId | None = None) -> SwitchRole:
        return SwitchRole(user_id=ADA, session_id=PHONE, role=role, business_id=business_id)

    def test_the_session_acts_in_the_other_role_from_now_on(self) -> None:
        events, _, reply = tell(self.EVENTS, self.switch(Role.OWNER))

        assert events == [RoleSwitched(session_id=PHONE, role=Role.OWNER, business_id=SALON)]
        assert reply == SessionGrant(
            session_id=PHONE,
            role=Role.OWNER,
            roles=(Role.CUSTOMER, Role.OWNER, Role.STAFF),
            business_id=SALON,
            manager=True,
            roles_version=0,
        )

    def test_a_role_that_one_does_not_have_is_refused(self) -> None:
        for wanted in (self.switch(Role.ADMIN), self.switch(Role.OWNER, GARAGE)):
            reply = tell(self.EVENTS, wanted).reply
            assert isinstance(reply, Forbidden)
            assert reply.fields == {"reason": "role_not_held"}

    def test_a_role_held_for_two_businesses_needs_the_business(self) -> None:
        reply = tell(self.EVENTS, self.switch(Role.STAFF)).reply
        named = tell(self.EVENTS, self.switch(Role.STAFF, GARAGE)).reply

        assert isinstance(reply, Invalid)
        assert isinstance(named, SessionGrant)
        assert named.business_id == GARAGE

    def test_switching_to_the_same_again_is_harmless(self) -> None:
        events = self.EVENTS + tell(self.EVENTS, self.switch(Role.OWNER)).events

        assert tell(events, self.switch(Role.OWNER)).events == []


sessions = st.sampled_from([PHONE, LAPTOP, SessionId(UUID(int=103))])
numbers = st.integers(1, 5)
roles = st.sampled_from([Role.STAFF, Role.EMPLOYEE, Role.OWNER])
businesses = st.sampled_from([SALON, GARAGE])
commands = st.one_of(
    st.builds(open_session, sessions, numbers),
    st.builds(rotate, numbers, numbers, sessions),
    st.just(EndSession()),
    st.builds(RevokeSession, session_id=sessions),
    st.just(RevokeSessions()),
    st.builds(GrantRole, user_id=st.just(ADA), role=roles, business_id=businesses, manager=st.booleans()),
    st.builds(RevokeRole, user_id=st.just(ADA), role=roles, business_id=businesses),
    st.builds(
        SwitchRole,
        user_id=st.just(ADA),
        session_id=sessions,
        role=st.one_of(roles, st.just(Role.CUSTOMER)),
        business_id=st.one_of(businesses, st.none()),
    ),
)


class TestNotices:
    def test_who_is_told_of_a_notice_does_not_write_it_again_since_it_may_be_erased_meanwhile(self) -> None:
        notice = Notice(id=UUID(int=301), title="Closed", body="On Monday.", sent_by=SYSTEM, at=NOW)
        take = TakeNotice(user_id=ADA, notice_id=notice.id, by=SYSTEM, channels=(Channel.EMAIL,))

        decided = decide(User, [SIGNED_UP], take, SERVER, NOW, notice)

        assert [type(event) for event in decided.events] == [NotificationSent]
        assert notice not in [effect.row for effect in decided.effects if isinstance(effect, PutRow)]


class TestWhateverHappens:
    @given(st.lists(st.tuples(commands, st.integers(0, 20)), max_size=30))
    def test_state_is_what_the_events_say_and_every_session_acts_as_its_user_may(
        self, steps: list[tuple[Command, int]]
    ) -> None:
        events: list[Event] = [SIGNED_UP]
        passed_s = 0
        for command, seconds in steps:
            passed_s += seconds
            if isinstance(command, OpenSession) and replay(User, events).session(command.session_id):
                continue  # the server makes a new id for each sign-in
            before = replay(User, events)
            decided = tell(events, command, ada(PHONE), after_s=passed_s)  # checks that replay equals live
            events += decided.events
            state: UserState = replay(User, events)
            assert not (isinstance(decided.reply, Rejected) and state != before)
            assert Membership(Role.CUSTOMER) in state.memberships
            assert all(state.membership(one.acting) for one in state.sessions)
            assert len({one.session_id for one in state.sessions}) == len(state.sessions) <= SESSIONS_MAX
            assert state.roles_version >= before.roles_version


class TestDisabling:
    ADMIN = Principal(user_id=UserId(UUID(int=99)), role=Role.ADMIN, roles=frozenset({Role.ADMIN}))

    def test_a_disabled_user_loses_all_sessions_and_opens_none(self) -> None:
        events: list[Event] = [SIGNED_UP, *opened(), *opened(LAPTOP, 2)]

        decided = tell(events, DisableUser(user_id=ADA), self.ADMIN)

        assert decided.events == [
            UserDisabled(by=self.ADMIN.user_id, at=NOW),
            SessionRevoked(session_id=PHONE, reason=RevokeReason.DISABLED, at=NOW),
            SessionRevoked(session_id=LAPTOP, reason=RevokeReason.DISABLED, at=NOW),
        ]
        events += decided.events
        assert isinstance(tell(events, open_session(PHONE, 3)).reply, AccountDisabled)
        assert tell(events, DisableUser(user_id=ADA), self.ADMIN).events == []

    def test_an_enabled_user_signs_in_again(self) -> None:
        events: list[Event] = [SIGNED_UP, UserDisabled(by=self.ADMIN.user_id, at=NOW)]
        events += tell(events, EnableUser(user_id=ADA), self.ADMIN).events

        assert isinstance(tell(events, open_session(PHONE, 1)).reply, SessionGrant)
        assert tell(events, EnableUser(user_id=ADA), self.ADMIN).events == []

    def test_admins_do_not_disable_themselves(self) -> None:
        refused = tell([SIGNED_UP], DisableUser(user_id=ADA), ada()).reply

        assert isinstance(refused, Forbidden)
        assert refused.fields == {"reason": "own_account"}
