"""The state of a user, and how each event changes it."""

from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from protocol.code.events import EmailVerified, PasswordChanged, PhoneVerified
from protocol.code.terms import Purpose
from protocol.device.terms import Platform
from protocol.events import Event
from protocol.ids import BusinessId, DeviceId, InvitationId, SessionId
from protocol.roles import Role
from protocol.user.events import (
    RoleGranted,
    RoleRevoked,
    RoleSwitched,
    SessionEnded,
    SessionOpened,
    SessionRevoked,
    UserSignedUp,
)
from protocol.user.terms import Acting, Membership

#: The default active role: the first of these that the user has.
PRECEDENCE = (Role.ADMIN, Role.OWNER, Role.EMPLOYEE, Role.STAFF, Role.CUSTOMER)


class RefreshMark(Struct, frozen=True):
    """A refresh token that is no longer in force, and since when."""

    token_hash: bytes
    at: datetime


class SessionState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One device that the user is signed in on."""

    session_id: SessionId
    device: str
    acting: Acting
    #: SHA-256 of the refresh token made last; None for the moment in which the session opens.
    refresh_hash: bytes | None = None
    #: The other tokens in force, oldest first, at most REFRESH_SIBLINGS_MAX with ``refresh_hash``.
    siblings: tuple[bytes, ...] = ()
    #: SHA-256 of the one used last, valid for REFRESH_GRACE_S from ``refreshed_at``; None: there was none.
    previous_hash: bytes | None = None
    #: Others that were used so recently that their grace may last.
    used: tuple[RefreshMark, ...] = ()
    #: Tokens never used, in whose place another one was; the newest REFRESH_PASSED_OVER_MAX.
    passed_over: tuple[RefreshMark, ...] = ()
    #: SHA-256 of the bytes that all its tokens share; None: not exchanged since they have such bytes.
    family_hash: bytes | None = None
    opened_at: datetime
    #: When the token used last was exchanged for the first time.
    refreshed_at: datetime
    expires_at: datetime


class Device(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One device that receives push messages; its address is in its row."""

    device_id: DeviceId
    platform: Platform
    address_hash: str
    #: The session that it was registered in; the device is dropped with it. None: no session.
    session_id: SessionId | None = None
    registered_at: datetime
    #: When it was last registered.
    used_at: datetime


class CodeSlot(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The codes of one purpose: the newest one, and the number issued in the current window."""

    purpose: Purpose
    #: A keyed hash; None: used or void.
    code_hash: bytes | None
    expires_at: datetime
    misses: int = 0
    issued_at: datetime
    #: When the first code of the current window was issued, and how many since.
    window_at: datetime
    issued: int = 1
    #: Whether the user is signed in where the codes are asked for: a stranger's requests do not count against these.
    own: bool = False


class WaitingReset(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One code for a new password, valid together with the id of its request."""

    #: SHA-256 of the request's id, which only the asking client knows.
    request_hash: bytes
    code_hash: bytes
    expires_at: datetime
    misses: int = 0


class Devices(Struct, frozen=True, omit_defaults=True):
    """The devices that push messages go to."""

    known: tuple[Device, ...] = ()

    def find(self, device_id: DeviceId) -> Device | None:
        """The device of that id, unless it was forgotten."""
        return next((one for one in self.known if one.device_id == device_id), None)

    def of_sessions(self, session_ids: set[SessionId | None]) -> "Devices":
        """Those that were registered in one of these sessions."""
        return Devices(tuple(one for one in self.known if one.session_id in session_ids))


class Codes(Struct, frozen=True, omit_defaults=True):
    """The codes of each purpose."""

    slots: tuple[CodeSlot, ...] = ()
    #: Codes for a new password, oldest first; bounded by the number issued in their time.
    resets: tuple[WaitingReset, ...] = ()

    def find(self, purpose: Purpose, own: bool = False) -> CodeSlot | None:
        """The codes of that purpose; None: none was issued."""
        return next((one for one in self.slots if one.purpose is purpose and one.own is own), None)

    def reset(self, request_hash: bytes) -> WaitingReset | None:
        """The code for a new password that was issued for this request."""
        return next((one for one in self.resets if one.request_hash == request_hash), None)

    def with_slot(self, slot: CodeSlot) -> "Codes":
        """A copy with this slot in place of the one of its purpose."""
        others = [one for one in self.slots if one.purpose is not slot.purpose or one.own is not slot.own]
        return replace(self, slots=(*others, slot))

    def with_reset(self, request_hash: bytes, waiting: WaitingReset | None) -> "Codes":
        """A copy in which this code is the one of the request; None: the request has no code any more."""
        others = tuple(one for one in self.resets if one.request_hash != request_hash)
        return replace(self, resets=others if waiting is None else (*others, waiting))

    def without_code(self, purpose: Purpose) -> "Codes":
        """A copy in which all codes of a purpose are void; the number issued stays."""
        codes = replace(self, resets=()) if purpose is Purpose.PASSWORD else self
        before = codes.find(purpose)
        return codes if before is None else codes.with_slot(replace(before, code_hash=None))


class Notifications(Struct, frozen=True, omit_defaults=True):
    """The notifications that the user has read."""

    #: Notifications up to then are read; None: no mark was set.
    read_until: datetime | None = None


class Joining(Struct, frozen=True, omit_defaults=True):
    """Accepted invitations whose role has not arrived yet."""

    accepted: dict[BusinessId, InvitationId] = {}

    def without(self, business_id: BusinessId | None) -> "Joining":
        """A copy without the invitation of that business."""
        return Joining({one: accepted for one, accepted in self.accepted.items() if one != business_id})


class UserState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The state of a user; each part has a struct of its own."""

    memberships: tuple[Membership, ...]
    sessions: tuple[SessionState, ...] = ()
    #: The role chosen last, on any device; None: none was chosen.
    chosen: Acting | None = None
    roles_version: int = 0
    password_version: int = 1
    is_email_verified: bool = False
    is_phone_verified: bool = False
    #: Whether an admin has disabled the account.
    disabled: bool = False
    #: The devices that the user has signed in on, the last one last; at most DEVICE_MARKS_MAX.
    device_marks: tuple[bytes, ...] = ()
    created_at: datetime
    last_login_at: datetime | None = None
    devices: Devices = Devices()
    codes: Codes = Codes()
    notifications: Notifications = Notifications()
    joining: Joining = Joining()
    #: Memberships by invitation, which are no default.
    invited: tuple[Acting, ...] = ()

    def session(self, session_id: SessionId | None) -> SessionState | None:
        """The session of that id; None: there is none, or it has ended."""
        return next((one for one in self.sessions if one.session_id == session_id), None)

    def membership(self, acting: Acting) -> Membership | None:
        """The membership for a role and business; None: the user does not have it."""
        return next((one for one in self.memberships if one.acting == acting), None)

    @property
    def usual(self) -> Acting:
        """The active role of a new session: the one chosen last, else the first that came by no invitation."""
        if self.chosen is not None and self.membership(self.chosen):
            return self.chosen
        own = [one for one in self.memberships if one.acting not in self.invited]
        return min(own, key=lambda one: PRECEDENCE.index(one.role)).acting

    @property
    def employments(self) -> int:
        """How many businesses of others the user works in, accepted invitations included."""
        return sum(one.role in (Role.EMPLOYEE, Role.STAFF) for one in self.memberships) + len(self.joining.accepted)


def after(state: Any, event: Event) -> Any:
    """The state after the event; ``state`` is None before the first one."""
    match event:
        case UserSignedUp():
            return UserState(
                memberships=(Membership(Role.CUSTOMER),),
                is_email_verified=event.is_email_verified,
                is_phone_verified=event.is_phone_verified,
                created_at=event.at,
            )
        case SessionOpened() | SessionEnded() | SessionRevoked():
            return _with_session_event(state, event)
        case RoleGranted() | RoleRevoked() | RoleSwitched():
            return _with_role_event(state, event)
        case PhoneVerified() | EmailVerified() | PasswordChanged():
            return _with_proof(state, event)
    raise AssertionError(f"a user does not know {event.type}")


def _with_session_event(state: UserState, event: SessionOpened | SessionEnded | SessionRevoked) -> UserState:
    match event:
        case SessionOpened():
            session = SessionState(
                session_id=event.session_id,
                device=event.device,
                acting=Acting(event.role, event.business_id),
                opened_at=event.at,
                refreshed_at=event.at,
                expires_at=event.expires_at,
            )
            live = tuple(one for one in state.sessions if one.expires_at > event.at)
            return replace(_with_sessions(state, (*live, session)), last_login_at=event.at)
        case SessionEnded() | SessionRevoked():
            return _with_sessions(state, tuple(one for one in state.sessions if one.session_id != event.session_id))


def _with_sessions(state: UserState, sessions: tuple[SessionState, ...]) -> UserState:
    """Replace the sessions; devices of ended sessions are dropped."""
    left: set[SessionId | None] = {None, *(one.session_id for one in sessions)}
    return replace(state, sessions=sessions, devices=state.devices.of_sessions(left))


def _with_session(state: UserState, session_id: SessionId, **changes: Any) -> UserState:
    changed = [replace(one, **changes) if one.session_id == session_id else one for one in state.sessions]
    return replace(state, sessions=tuple(changed))


def _with_role_event(state: UserState, event: RoleGranted | RoleRevoked | RoleSwitched) -> UserState:
    match event:
        case RoleGranted():
            granted = Membership(event.role, event.business_id, event.manager)
            known = state.membership(granted.acting) is not None
            joined = replace(state, joining=state.joining.without(event.business_id))
            if event.by_invitation and not known:
                joined = replace(joined, invited=(*state.invited, granted.acting))
            return _with_role(joined, granted, event.roles_version)
        case RoleRevoked():
            return _without_role(state, event)
        case RoleSwitched():
            acting = Acting(event.role, event.business_id)
            return replace(_with_session(state, event.session_id, acting=acting), chosen=acting)


def _with_role(state: UserState, granted: Membership, roles_version: int | None) -> UserState:
    others = tuple(one for one in state.memberships if one.acting != granted.acting)
    version = state.roles_version if roles_version is None else roles_version
    return replace(state, memberships=(*others, granted), roles_version=version)


def _without_role(state: UserState, event: RoleRevoked) -> UserState:
    """Remove a membership; sessions that acted in it act as customer."""
    gone = Acting(event.role, event.business_id)
    return replace(
        state,
        memberships=tuple(one for one in state.memberships if one.acting != gone),
        sessions=tuple(replace(one, acting=Acting()) if one.acting == gone else one for one in state.sessions),
        chosen=None if state.chosen == gone else state.chosen,
        invited=tuple(one for one in state.invited if one != gone),
        roles_version=event.roles_version,
    )


def _with_proof(state: UserState, event: PhoneVerified | EmailVerified | PasswordChanged) -> UserState:
    """Apply a verified number or address, or a new password; codes that it makes void are removed."""
    match event:
        case PhoneVerified():
            return replace(state, codes=state.codes.without_code(Purpose.PHONE), is_phone_verified=True)
        case EmailVerified():
            codes = state.codes.without_code(Purpose.EMAIL)
            if event.changed:  # a code that went to the address before it
                codes = codes.without_code(Purpose.PASSWORD)
            return replace(state, codes=codes, is_email_verified=True)
        case PasswordChanged():
            codes = state.codes.without_code(Purpose.PASSWORD)
            return replace(state, codes=codes, password_version=event.password_version)
