"""Limits failed sign-ins: by address and account together, and by account over all addresses unknown to it.

An attacker cannot lock a user out of an address where they have signed in, or refreshed their tokens, since this node
started: attempts from there count by themselves.
"""

from collections.abc import Callable
from time import monotonic

from protocol.rates import Rate
from protocol.user.terms import email_key
from server.accounts.limits import SIGN_IN_ATTEMPTS, SIGN_IN_ATTEMPTS_ELSEWHERE, SIGN_IN_KEYS_MAX
from server.edge.addresses import limited_as
from server.edge.rates import RateLimiter


class Attempts(RateLimiter):
    """Counts an attempt before its password is checked; a successful one clears the count."""

    def __init__(
        self, rate: Rate = SIGN_IN_ATTEMPTS, *, keys_max: int = SIGN_IN_KEYS_MAX, now: Callable[[], float] = monotonic
    ) -> None:
        super().__init__("sign_in_attempts", rate, keys_max=keys_max, now=now)
        self._elsewhere = RateLimiter(
            "sign_in_attempts_elsewhere", SIGN_IN_ATTEMPTS_ELSEWHERE, keys_max=keys_max, now=now
        )
        #: Pairs that have signed in, least recently used first.
        self._known: dict[tuple[str, str], None] = {}
        self._known_max = keys_max

    @property
    def remembered(self) -> int:
        """Pairs of address and account that are remembered."""
        return len(self._known)

    def knows(self, address: str, email: str) -> bool:
        """Whether the account was signed in at this address."""
        return _pair(address, email) in self._known

    def begin(self, address: str, email: str) -> None:
        """Count one attempt. Raises: LimitReached."""
        pair = _pair(address, email)
        self.take(pair)
        if not self.knows(address, email):
            self._elsewhere.take(pair[1])

    def succeeded(self, address: str, email: str) -> None:
        """Forget the attempts from this address on this account, and remember the address."""
        self.forget(_pair(address, email))
        self.remember(address, email)

    def remember(self, address: str, email: str) -> None:
        """The account is signed in at this address: attempts from there do not count for the account as a whole."""
        pair = _pair(address, email)
        self._known.pop(pair, None)
        if len(self._known) >= self._known_max:
            del self._known[next(iter(self._known))]
        self._known[pair] = None


def _pair(address: str, email: str) -> tuple[str, str]:
    """The key of one counter. An IPv6 address counts as its network; unlike elsewhere, loopback is limited too."""
    return limited_as(address) or address, email_key(email)
