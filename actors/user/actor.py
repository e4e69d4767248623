"""One user: their roles and their sessions.

Owns roles and memberships, sessions with the hashes of their refresh tokens, devices, and what is verified. Contact
data, the password's hash and device addresses are stored as rows and are not part of the actor's state. Businesses send
it the roles of their members (GrantRole, RevokeRole); its events go to the user alone, and it sends ForgetDevice to the
former user of a device.

A session:            rotate (``rotation``)
                     ┌──────┐
    open ──▶ OPEN ───┴──────┘ ── sign out ──▶ ended
              │ └── revoked by the user, displaced by newer ones, a used token presented again ──▶ revoked
              └── not rotated in its lifetime ──▶ expired, and dropped at the next sign-in
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import ClassVar

from msgspec import Struct

from actors.actor import Actor, actor, handles
from actors.records import records_of
from actors.user import codes, devices, disabling, invitations, notifications, rotation
from actors.user.rotation import Presented, classify
from actors.user.state import SessionState, UserState, after
from protocol.code.terms import UNIQUE_PHONE
from protocol.errors import Forbidden, Invalid, NotFound, Unauthenticated
from protocol.events import Row
from protocol.ids import BusinessId, Kind, SessionId, UserId
from protocol.notification.types import Party
from protocol.roles import PROVIDERS, Role
from protocol.user.commands import (
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
    UserSignedUp,
)
from protocol.user.rows import Credentials, Person, UserRow
from protocol.user.terms import (
    SESSIONS_MAX,
    UNIQUE_EMAIL,
    AccountDisabled,
    Acting,
    Membership,
    RevokeReason,
    UserSession,
    email_key,
)
from protocol.user.views import Rotated, SessionGrant


@actor(Kind.USER)
class User(Actor[UserState]):
    """One user: roles and sessions here, the rest in parts."""

    state_type: ClassVar[type[Struct]] = UserState
    parts = (rotation, disabling, codes, devices, invitations, notifications, records_of(Kind.USER))

    # The account

    @handles(SignUp)
    def sign_up(self, command: SignUp) -> None:
        """Create the account. Refused by its claims: EmailTaken, PhoneTaken."""
        assert not self.exists, f"user {self.actor_id} signs up again"
        self.claim_key(UNIQUE_EMAIL, email_key(command.email))
        if command.is_phone_verified and command.phone_number is not None:
            self.claim_key(UNIQUE_PHONE, command.phone_number)
        self.emit(
            UserSignedUp(
                is_email_verified=command.is_email_verified, is_phone_verified=command.is_phone_verified, at=self.now
            )
        )
        self.put(
            Person(
                user_id=self.user_id,
                email=command.email,
                name=command.name,
                phone_number=command.phone_number,
                profile_image_url=command.profile_image_url,
                language=command.language,
            )
        )
        if command.password_hash is not None:
            self._put_password(command.password_hash, self.state.password_version)

    @handles(RehashPassword)
    def rehash_password(self, command: RehashPassword) -> None:
        """Store a hash of the same password with the current parameters."""
        if command.password_version == self.state.password_version:
            self._put_password(command.password_hash, command.password_version)

    # Sessions

    @handles(OpenSession)
    def open_session(self, command: OpenSession) -> SessionGrant:
        """Sign the user in on a device; past ``SESSIONS_MAX`` the session refreshed longest ago is revoked.

        Raises: AccountDisabled.
        """
        if self.state.disabled:
            raise AccountDisabled()
        live = [one for one in self.state.sessions if one.expires_at > self.now]
        if len(live) >= SESSIONS_MAX:
            self._revoke(min(live, key=lambda one: one.refreshed_at), RevokeReason.DISPLACED)
        acting, known = self.state.usual, self.state.device_marks
        expires_at = self.now + timedelta(seconds=command.lifetime_s)
        self.emit(
            SessionOpened(
                session_id=command.session_id,
                device=command.device,
                role=acting.role,
                business_id=acting.business_id,
                new_device=bool(known) and command.device_mark not in known,
                expires_at=expires_at,
                at=self.now,
            )
        )
        first = SessionRefreshed(
            session_id=command.session_id,
            refresh_hash=command.refresh_hash,
            family_hash=command.family_hash,
            device_mark=command.device_mark,
            expires_at=expires_at,
            at=self.now,
        )
        self.emit(first, to=())
        return self._grant(command.session_id)

    @handles(RotateSession)
    def rotate_session(self, command: RotateSession) -> Rotated:
        """Exchange a refresh token for the next one; one that was used before ends the session.

        Raises: Unauthenticated.
        """
        session = self.state.session(command.session_id)
        if session is None:
            raise Unauthenticated(reason="revoked")
        if session.expires_at <= self.now:
            raise Unauthenticated(reason="expired")
        presented = classify(session, command.presented_hash, command.family_hash, self.now)
        if presented is Presented.UNKNOWN:
            raise Unauthenticated(reason="invalid")
        if presented is Presented.PASSED_OVER:
            raise Unauthenticated(reason="superseded")
        if presented is Presented.REUSED:
            self._revoke(session, RevokeReason.REUSE)
            return Rotated(grant=None)
        event = SessionRefreshed(
            session_id=command.session_id,
            presented_hash=command.presented_hash,
            refresh_hash=command.refresh_hash,
            family_hash=command.family_hash if session.family_hash is None else None,
            reply_lost=presented is Presented.IN_GRACE,
            expires_at=self.now + timedelta(seconds=command.lifetime_s),
            at=self.now,
        )
        self.emit(event, to=())
        return Rotated(grant=self._grant(command.session_id))

    @handles(EndSession)
    def end_session(self, command: EndSession) -> None:
        """Sign out on this device; repeating it does nothing."""
        if session := self.state.session(self.principal.session_id):
            self.emit(SessionEnded(session_id=session.session_id, at=self.now))

    @handles(RevokeSession)
    def revoke_session(self, command: RevokeSession) -> None:
        """Sign out another device. Raises: NotFound."""
        session = self.state.session(command.session_id)
        if session is None:
            raise NotFound(entity="session", id=str(command.session_id))
        self._revoke(session, RevokeReason.BY_USER)

    @handles(RevokeSessions)
    def revoke_sessions(self, command: RevokeSessions) -> None:
        """Sign out all other devices."""
        for session in self.state.sessions:
            if session.session_id != self.principal.session_id:
                self._revoke(session, RevokeReason.BY_USER)

    # Roles

    @handles(GrantRole)
    def grant_role(self, command: GrantRole) -> None:
        """Grant a role, for a business or the operator; its bound was checked before. Raises: Invalid."""
        wanted = Membership(command.role, command.business_id, command.manager or command.role is Role.OWNER)
        if command.role not in {*PROVIDERS, Role.ADMIN}:
            raise Invalid(role="not_granted")
        if (command.role in PROVIDERS) != (command.business_id is not None):
            raise Invalid(business_id="does_not_fit_role")
        has = self.state.membership(wanted.acting)
        if has == wanted:
            return
        narrowed = has is not None and has.manager
        self.emit(
            RoleGranted(
                role=wanted.role,
                business_id=wanted.business_id,
                manager=wanted.manager,
                roles_version=self.state.roles_version + 1 if narrowed else None,
                by_invitation=has is None and wanted.role in (Role.EMPLOYEE, Role.STAFF),
            )
        )

    @handles(RevokeRole)
    def revoke_role(self, command: RevokeRole) -> None:
        """Revoke a role. Raises: Forbidden for the role customer, which every user has."""
        if command.role is Role.CUSTOMER:
            raise Forbidden(reason="everybody_is_customer")
        if self.state.membership(Acting(command.role, command.business_id)):
            version = self.state.roles_version + 1
            self.emit(RoleRevoked(role=command.role, business_id=command.business_id, roles_version=version))

    @handles(SwitchRole)
    def switch_role(self, command: SwitchRole) -> SessionGrant:
        """Switch the active role of one session. Raises: Unauthenticated, Forbidden, Invalid."""
        session = self.state.session(command.session_id)
        if session is None:
            raise Unauthenticated(reason="revoked")
        acting = self._acting_of(command.role, command.business_id)
        if acting != session.acting or acting != self.state.chosen:
            self.emit(RoleSwitched(session_id=session.session_id, role=acting.role, business_id=acting.business_id))
        return self._grant(session.session_id)

    # What handlers share

    def _put_password(self, password_hash: str, password_version: int) -> None:
        self.put(Credentials(user_id=self.user_id, password_hash=password_hash, password_version=password_version))

    def _revoke(self, session: SessionState, reason: RevokeReason) -> None:
        self.emit(SessionRevoked(session_id=session.session_id, reason=reason, at=self.now))

    def _acting_of(self, role: Role, business_id: BusinessId | None) -> Acting:
        """The membership of a role and, if given, a business. Raises: Forbidden, Invalid if several match."""
        held = [one.acting for one in self.state.memberships if one.role is role]
        if business_id is not None:
            held = [one for one in held if one.business_id == business_id]
        if not held:
            raise Forbidden(reason="role_not_held")
        if len(held) > 1:
            raise Invalid(business_id="needed_to_tell_apart")
        return held[0]

    def _grant(self, session_id: SessionId) -> SessionGrant:
        session = self.state.session(session_id)
        assert session is not None
        membership = self.state.membership(session.acting)
        assert membership is not None, f"session {session_id} has a role that its user does not have"
        return SessionGrant(
            session_id=session_id,
            role=membership.role,
            roles=tuple(sorted({one.role for one in self.state.memberships})),
            business_id=membership.business_id,
            manager=membership.manager,
            roles_version=self.state.roles_version,
        )

    # What follows from the state

    @property
    def user_id(self) -> UserId:
        return UserId(self.actor_id)

    def audience(self) -> Iterable[UserId]:
        return (self.user_id,)

    def parties(self) -> Mapping[Party, Iterable[UserId]]:
        return {Party.SELF: (self.user_id,)}

    def rows(self) -> Iterable[Row]:
        state = self.state
        sessions = [
            UserSession(
                session_id=one.session_id,
                device=one.device,
                opened_at=one.opened_at,
                refreshed_at=one.refreshed_at,
                expires_at=one.expires_at,
            )
            for one in state.sessions
        ]
        yield UserRow(
            user_id=self.user_id,
            is_email_verified=state.is_email_verified,
            is_phone_verified=state.is_phone_verified,
            memberships=state.memberships,
            sessions=tuple(sessions),
            created_at=state.created_at,
            last_login_at=state.last_login_at,
        )

    evolve = staticmethod(after)
