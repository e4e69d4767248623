"""What was taken away lately: sessions, and rights out of roles, for as long as a token could still claim them."""

from collections.abc import Callable

import structlog

from protocol.ids import SessionId, UserId
from server.auth.limits import REVOCATIONS_MAX

log = structlog.get_logger(__name__)


class Revocations:
    """Bounded, and forgetful: an entry goes when the last access token that it refuses has expired.

    When there are more than fit, every token made so far is refused: clients refresh, and nothing is let through.

    Args:
        lifetime_s: how long an access token holds.
        now: seconds since 1970.
    """

    def __init__(self, lifetime_s: float, now: Callable[[], float], *, entries_max: int = REVOCATIONS_MAX) -> None:
        self._lifetime_s = lifetime_s
        self._now = now
        self._entries_max = entries_max
        #: What is refused → when it can be forgotten; oldest first.
        self._sessions: dict[SessionId, float] = {}
        #: User → the lowest ``roles_version`` that is taken, and when that can be forgotten; oldest first.
        self._floors: dict[UserId, tuple[int, float]] = {}
        #: Tokens issued before are refused, all of them.
        self._refused_before = 0.0

    def add_session(self, session_id: SessionId) -> bool:
        """Refuse a session's tokens from now on; answers whether that is news."""
        if session_id in self._sessions:
            return False
        self._make_room()
        self._sessions[session_id] = self._now() + self._lifetime_s
        return True

    def add_floor(self, user_id: UserId, roles_version: int) -> bool:
        """Refuse a user's tokens of an earlier ``roles_version``; answers whether that is news."""
        known, _ = self._floors.get(user_id, (-1, 0.0))
        if roles_version <= known:
            return False
        self._make_room()
        self._floors.pop(user_id, None)
        self._floors[user_id] = (roles_version, self._now() + self._lifetime_s)
        return True

    def has_session(self, session_id: SessionId) -> bool:
        """Whether the session was taken away."""
        return session_id in self._sessions

    def outdates(self, user_id: UserId, roles_version: int, issued_at: float) -> bool:
        """Whether a token claims more than its user may by now; its client is to refresh it."""
        floor = self._floors.get(user_id)
        return issued_at < self._refused_before or (floor is not None and roles_version < floor[0])

    def _make_room(self) -> None:
        now = self._now()
        while self._sessions and next(iter(self._sessions.values())) <= now:
            del self._sessions[next(iter(self._sessions))]
        while self._floors and next(iter(self._floors.values()))[1] <= now:
            del self._floors[next(iter(self._floors))]
        if len(self._sessions) + len(self._floors) >= self._entries_max:
            log.warning("auth.revocations_full", action="refuse_earlier_tokens", entries=self._entries_max)
            self._sessions.clear()
            self._floors.clear()
            # Tokens say the second of their making, rounded down.
            self._refused_before = now + 1
