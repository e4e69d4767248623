"""What was taken away lately: sessions, and rights out of roles, for as long as a token could still claim them."""

from collections.abc import Callable
from time import monotonic

import structlog

from protocol.ids import SessionId, UserId
from server.accounts.limits import REVOCATIONS_MAX

log = structlog.get_logger(__name__)

#: An instant on the wall clock, and on the monotonic one.
Moment = tuple[float, float]


class Revocations:
    """Bounded, and forgetful: an entry goes when the last access token that it refuses has expired.

    It has expired when its time has passed on the wall clock and on the monotonic one: the first may jump there and
    back, and the token would hold again. When there are more than fit, every token made so far is refused: clients
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
        #: What is refused → when it can be forgotten; oldest first.
        self._sessions: dict[SessionId, Moment] = {}
        #: User → the lowest ``roles_version`` that is taken, and when that can be forgotten; oldest first.
        self._floors: dict[UserId, tuple[int, Moment]] = {}
        #: Tokens issued before are refused, all of them.
        self._refused_before = 0.0

    def add_session(self, session_id: SessionId) -> bool:
        """Refuse a session's tokens from now on; answers whether that is news."""
        if session_id in self._sessions:
            return False
        self._make_room()
        self._sessions[session_id] = self._expiry()
        return True

    def add_floor(self, user_id: UserId, roles_version: int) -> bool:
        """Refuse a user's tokens of an earlier ``roles_version``; answers whether that is news."""
        known, _ = self._floors.get(user_id, (-1, None))
        if roles_version <= known:
            return False
        self._make_room()
        self._floors.pop(user_id, None)
        self._floors[user_id] = (roles_version, self._expiry())
        return True

    def has_session(self, session_id: SessionId) -> bool:
        """Whether the session was taken away."""
        return session_id in self._sessions

    def outdates(self, user_id: UserId, roles_version: int, issued_at: float) -> bool:
        """Whether a token claims more than its user may by now; its client is to refresh it."""
        floor = self._floors.get(user_id)
        return issued_at < self._refused_before or (floor is not None and roles_version < floor[0])

    def _expiry(self) -> Moment:
        return self._now() + self._lifetime_s, self._uptime() + self._lifetime_s

    def _is_over(self, moment: Moment) -> bool:
        return moment[0] <= self._now() and moment[1] <= self._uptime()

    def _make_room(self) -> None:
        while self._sessions and self._is_over(next(iter(self._sessions.values()))):
            del self._sessions[next(iter(self._sessions))]
        while self._floors and self._is_over(next(iter(self._floors.values()))[1]):
            del self._floors[next(iter(self._floors))]
        if len(self._sessions) + len(self._floors) >= self._entries_max:
            log.warning("auth.revocations_full", action="refuse_earlier_tokens", entries=self._entries_max)
            self._sessions.clear()
            self._floors.clear()
            # Tokens say the second of their making, rounded down.
            self._refused_before = self._now() + 1
