"""Revoked sessions and roles, for as long as an access token could still claim them."""

from collections.abc import Callable
from time import monotonic

import structlog

from protocol.ids import SessionId, UserId
from server.accounts.limits import REVOCATIONS_MAX

log = structlog.get_logger(__name__)

#: An instant on the wall clock, and on the monotonic one.
Moment = tuple[float, float]


class Revocations:
    """The revocations of the last token lifetime, in bounded memory.

    An entry is dropped when the last access token that it refuses has expired.

    It has expired when its time has passed on the wall clock and on the monotonic one: the first may jump there and
    back, and the token would be valid again. When there are more than fit, every token made so far is refused: clients
    refresh, and nothing is let through.

    Args:
        lifetime_s: how long an access token holds.
        now: seconds since 1970.
        uptime: seconds on a clock that never jumps.
    """

    def __init__(
        self,
        lifetime_s: float,
        now: Callable[[], float],
        *,
        uptime: Callable[[], float] = monotonic,
        entries_max: int = REVOCATIONS_MAX,
    ) -> None:
        self._lifetime_s = lifetime_s
        self._now = now
        self._uptime = uptime
        self._entries_max = entries_max
        #: Revoked session → when it can be dropped; oldest first.
        self._sessions: dict[SessionId, Moment] = {}
        #: User → the lowest ``roles_version`` that is valid, and when the entry can be dropped; oldest first.
        self._min_roles_versions: dict[UserId, tuple[int, Moment]] = {}
        #: Tokens issued before are refused, all of them.
        self._refused_before = 0.0

    def add_session(self, session_id: SessionId) -> bool:
        """Refuse a session's tokens from now on; returns whether that is new."""
        if session_id in self._sessions:
            return False
        self._make_room()
        self._sessions[session_id] = self._expiry()
        return True

    def set_min_roles_version(self, user_id: UserId, roles_version: int) -> bool:
        """Refuse a user's tokens of an earlier ``roles_version``; returns whether that is new."""
        known, _ = self._min_roles_versions.get(user_id, (-1, None))
        if roles_version <= known:
            return False
        self._make_room()
        self._min_roles_versions.pop(user_id, None)
        self._min_roles_versions[user_id] = (roles_version, self._expiry())
        return True

    def has_session(self, session_id: SessionId) -> bool:
        """Whether the session was revoked."""
        return session_id in self._sessions

    def invalidates(self, user_id: UserId, roles_version: int, issued_at: float) -> bool:
        """Whether a token claims roles that were revoked since; its client has to refresh it."""
        entry = self._min_roles_versions.get(user_id)
        return issued_at < self._refused_before or (entry is not None and roles_version < entry[0])

    def _expiry(self) -> Moment:
        return self._now() + self._lifetime_s, self._uptime() + self._lifetime_s

    def _is_over(self, moment: Moment) -> bool:
        return moment[0] <= self._now() and moment[1] <= self._uptime()

    def _make_room(self) -> None:
        while self._sessions and self._is_over(next(iter(self._sessions.values()))):
            del self._sessions[next(iter(self._sessions))]
        while self._min_roles_versions and self._is_over(next(iter(self._min_roles_versions.values()))[1]):
            del self._min_roles_versions[next(iter(self._min_roles_versions))]
        if len(self._sessions) + len(self._min_roles_versions) >= self._entries_max:
            log.warning("auth.revocations_full", action="refuse_earlier_tokens", entries=self._entries_max)
            self._sessions.clear()
            self._min_roles_versions.clear()
            # Tokens carry the second in which they were issued, rounded down.
            self._refused_before = self._now() + 1
