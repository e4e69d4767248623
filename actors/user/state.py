"""What decisions about a user rest on, and how each event changes it."""

from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from protocol.code.events import CodeIssued, CodeMissed, EmailVerified, PasswordChanged, PhoneVerified
from protocol.code.terms import CODE_MISSES_MAX, CODES_WINDOW_S, Purpose
from protocol.device.events import DeviceForgotten, DeviceRegistered
from protocol.device.terms import Platform
from protocol.events import Event
from protocol.ids import DeviceId, SessionId
from protocol.notice.events import NotificationSent
from protocol.notification.events import NotificationsRead
from protocol.preference.events import NotificationPreferencesSet
from protocol.roles import Role
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
from protocol.user.terms import Acting, Membership

#: What somebody acts as who never chose: the most that they may.
PRECEDENCE = (Role.ADMIN, Role.OWNER, Role.EMPLOYEE, Role.STAFF, Role.CUSTOMER)


class Session(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One device that the user is signed in on."""

    session_id: SessionId
    device: str
    acting: Acting
    #: SHA-256 of the refresh token in force; None for the moment in which the session opens.
    refresh_hash: bytes | None = None
    #: SHA-256 of the one before it, good for REFRESH_GRACE_S more from ``refreshed_at``; None: it is the first.
    previous_hash: bytes | None = None
    opened_at: datetime
    #: When the token in force took its predecessor's place.
    refreshed_at: datetime
    expires_at: datetime


class Device(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One device that push messages go to; where, is in its row."""

    device_id: DeviceId
    platform: Platform
    address_hash: str
    #: The session that it was registered in, and that it ends with.
    session_id: SessionId | None = None
    registered_at: datetime
    #: When it was last registered.
    used_at: datetime


class CodeSlot(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The codes of one purpose: the newest one, and how many there were lately."""

    purpose: Purpose
    #: Keyed; None: used, or void.
    code_hash: bytes | None
    expires_at: datetime
    misses: int = 0
    issued_at: datetime
    #: When the first one of the running window was issued, and how many were since.
    window_at: datetime
    issued: int = 1


class UserState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that decisions about a user rest on."""

    memberships: tuple[Membership, ...]
    sessions: tuple[Session, ...] = ()
    #: What was chosen last, on any device; None: nothing yet.
    chosen: Acting | None = None
    roles_version: int = 0
    password_version: int = 1
    is_email_verified: bool = False
    is_phone_verified: bool = False
    created_at: datetime
    last_login_at: datetime | None = None
    #: Notifications up to then are read; None: no such mark was ever set.
    notifications_read_until: datetime | None = None
    devices: tuple[Device, ...] = ()
    codes: tuple[CodeSlot, ...] = ()

    def session(self, session_id: SessionId | None) -> Session | None:
        """The session of that id, unless it is over."""
        return next((one for one in self.sessions if one.session_id == session_id), None)

    def device(self, device_id: DeviceId) -> Device | None:
        """The device of that id, unless it was forgotten."""
        return next((one for one in self.devices if one.device_id == device_id), None)

    def membership(self, acting: Acting) -> Membership | None:
        """The membership that lets the user act so."""
        return next((one for one in self.memberships if one.acting == acting), None)

    def code_slot(self, purpose: Purpose) -> CodeSlot | None:
        """The codes of that purpose, if there ever were any."""
        return next((one for one in self.codes if one.purpose is purpose), None)

    @property
    def usual(self) -> Acting:
        """What the user acts as at first: what they chose last, else the most that they may."""
        if self.chosen is not None and self.membership(self.chosen):
            return self.chosen
        return min(self.memberships, key=lambda one: PRECEDENCE.index(one.role)).acting


def apply(state: Any, event: Event) -> Any:
    """The state after the event; ``state`` is None before the first one."""
    match event:
        case UserSignedUp():
            return UserState(
                memberships=(Membership(Role.CUSTOMER),),
                is_email_verified=event.is_email_verified,
                is_phone_verified=event.is_phone_verified,
                created_at=event.at,
            )
        case SessionOpened() | SessionRefreshed() | SessionEnded() | SessionRevoked():
            return _with_session_event(state, event)
        case RoleGranted() | RoleRevoked() | RoleSwitched():
            return _with_role_event(state, event)
        case CodeIssued() | CodeMissed() | PhoneVerified() | EmailVerified() | PasswordChanged():
            return _with_code_event(state, event)
        case (
            NotificationsRead()
            | NotificationPreferencesSet()
            | NotificationSent()
            | DeviceRegistered()
            | DeviceForgotten()
        ):
            return _with_notification_event(state, event)
    raise AssertionError(f"a user does not know {event.type}")


def _with_notification_event(
    state: UserState,
    event: NotificationsRead | NotificationPreferencesSet | NotificationSent | DeviceRegistered | DeviceForgotten,
) -> UserState:
    match event:
        case NotificationsRead():
            return replace(state, notifications_read_until=event.read_until or state.notifications_read_until)
        case NotificationPreferencesSet() | NotificationSent():
            return state
        case DeviceRegistered():
            return _with_device(state, event)
        case DeviceForgotten():
            return replace(state, devices=tuple(one for one in state.devices if one.device_id != event.device_id))


def _with_session_event(
    state: UserState, event: SessionOpened | SessionRefreshed | SessionEnded | SessionRevoked
) -> UserState:
    match event:
        case SessionOpened():
            session = Session(
                session_id=event.session_id,
                device=event.device,
                acting=Acting(event.role, event.business_id),
                opened_at=event.at,
                refreshed_at=event.at,
                expires_at=event.expires_at,
            )
            live = tuple(one for one in state.sessions if one.expires_at > event.at)
            return replace(_with_sessions(state, (*live, session)), last_login_at=event.at)
        case SessionRefreshed():
            if event.reply_lost:
                changes: dict[str, Any] = {}
            else:
                before = state.session(event.session_id)
                assert before is not None
                changes = {"previous_hash": before.refresh_hash, "refreshed_at": event.at}
            return _with_session(
                state, event.session_id, refresh_hash=event.refresh_hash, expires_at=event.expires_at, **changes
            )
        case SessionEnded() | SessionRevoked():
            return _with_sessions(state, tuple(one for one in state.sessions if one.session_id != event.session_id))


def _with_sessions(state: UserState, sessions: tuple[Session, ...]) -> UserState:
    """With these and no others; devices go with the session that they were registered in."""
    left = {None, *(one.session_id for one in sessions)}
    return replace(state, sessions=sessions, devices=tuple(one for one in state.devices if one.session_id in left))


def _with_device(state: UserState, event: DeviceRegistered) -> UserState:
    before = state.device(event.device_id)
    device = Device(
        device_id=event.device_id,
        platform=event.platform,
        address_hash=event.address_hash,
        session_id=event.session_id,
        registered_at=event.at if before is None else before.registered_at,
        used_at=event.at,
    )
    return replace(state, devices=(*(one for one in state.devices if one.device_id != event.device_id), device))


def _with_session(state: UserState, session_id: SessionId, **changes: Any) -> UserState:
    changed = [replace(one, **changes) if one.session_id == session_id else one for one in state.sessions]
    return replace(state, sessions=tuple(changed))


def _with_role_event(state: UserState, event: RoleGranted | RoleRevoked | RoleSwitched) -> UserState:
    match event:
        case RoleGranted():
            granted = Membership(event.role, event.business_id, event.manager)
            return _with_role(state, granted, event.roles_version)
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
    """Whoever acted so acts as a customer from now on, which everybody is."""
    gone = Acting(event.role, event.business_id)
    return replace(
        state,
        memberships=tuple(one for one in state.memberships if one.acting != gone),
        sessions=tuple(replace(one, acting=Acting()) if one.acting == gone else one for one in state.sessions),
        chosen=None if state.chosen == gone else state.chosen,
        roles_version=event.roles_version,
    )


def _with_code_event(
    state: UserState, event: CodeIssued | CodeMissed | PhoneVerified | EmailVerified | PasswordChanged
) -> UserState:
    match event:
        case CodeIssued() | CodeMissed():
            return _with_code(state, event)
        case PhoneVerified():
            return replace(_without_code(state, Purpose.PHONE), is_phone_verified=True)
        case EmailVerified():
            left = _without_code(state, Purpose.EMAIL)
            if event.changed:  # a code that went to the address before it
                left = _without_code(left, Purpose.PASSWORD)
            return replace(left, is_email_verified=True)
        case PasswordChanged():
            return replace(_without_code(state, Purpose.PASSWORD), password_version=event.password_version)


def _with_code(state: UserState, event: CodeIssued | CodeMissed) -> UserState:
    before = state.code_slot(event.purpose)
    if isinstance(event, CodeMissed):
        assert before is not None
        misses = before.misses + 1
        kept = before.code_hash if misses < CODE_MISSES_MAX else None
        return _with_slot(state, replace(before, code_hash=kept, misses=misses))
    goes_on = before is not None and event.at < before.window_at + timedelta(seconds=CODES_WINDOW_S)
    slot = CodeSlot(
        purpose=event.purpose,
        code_hash=event.code_hash,
        expires_at=event.expires_at,
        issued_at=event.at,
        window_at=before.window_at if before is not None and goes_on else event.at,
        issued=before.issued + 1 if before is not None and goes_on else 1,
    )
    return _with_slot(state, slot)


def _without_code(state: UserState, purpose: Purpose) -> UserState:
    """The newest code of a purpose is void; how many there were is remembered."""
    before = state.code_slot(purpose)
    return state if before is None else _with_slot(state, replace(before, code_hash=None))


def _with_slot(state: UserState, slot: CodeSlot) -> UserState:
    others = tuple(one for one in state.codes if one.purpose is not slot.purpose)
    return replace(state, codes=(*others, slot))
