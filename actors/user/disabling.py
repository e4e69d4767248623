"""An admin disables a user's account, and enables it again (rule P-18).

All sessions of a disabled user are revoked, and no new one is opened. Bookings, money and messages are not touched.
"""

from msgspec.structs import replace

from actors.actor import Actor, applies, handles
from actors.user.state import UserState
from protocol.errors import Forbidden
from protocol.ids import UserId
from protocol.user.commands import DisableUser, EnableUser
from protocol.user.events import SessionRevoked, UserDisabled, UserEnabled
from protocol.user.terms import RevokeReason


@handles(DisableUser)
def disable(user: Actor[UserState], command: DisableUser) -> None:
    """Disable the account; repeating it does nothing. Raises: NotFound, Forbidden for the admin's own account."""
    sessions = user.state.sessions
    if user.principal.user_id == UserId(user.actor_id):
        raise Forbidden(reason="own_account")
    if user.state.disabled:
        return
    user.emit(UserDisabled(by=user.principal.user_id, at=user.now))
    for session in sessions:
        user.emit(SessionRevoked(session_id=session.session_id, reason=RevokeReason.DISABLED, at=user.now))


@handles(EnableUser)
def enable(user: Actor[UserState], command: EnableUser) -> None:
    """Enable the account; repeating it does nothing. Raises: NotFound."""
    if user.state.disabled:
        user.emit(UserEnabled(by=user.principal.user_id, at=user.now))


@applies(UserDisabled, UserEnabled)
def _changed(state: UserState, event: UserDisabled | UserEnabled) -> UserState:
    return replace(state, disabled=isinstance(event, UserDisabled))
