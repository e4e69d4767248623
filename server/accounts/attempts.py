"""Limits failed sign-ins by address and account together, so that an attacker cannot lock a user out from elsewhere."""

from collections.abc import Callable
from time import monotonic

from protocol.rates import Rate
from protocol.user.terms import email_key
from server.accounts.limits import SIGN_IN_ATTEMPTS, SIGN_IN_KEYS_MAX
from server.edge.addresses import limited_as
from server.edge.rates import RateLimiter


class Attempts(RateLimiter):
    """Counts an attempt before its password is checked; a successful one clears the count."""

    def __init__(
        self, rate: Rate = SIGN_IN_ATTEMPTS, *, keys_max: int = SIGN_IN_KEYS_MAX, now: Callable[[], float] = monotonic
    ) -> None:
        super().__init__("sign_in_attempts", rate, keys_max=keys_max, now=now)

    def begin(self, address: str, email: str) -> None:
        """Count one attempt. Raises: LimitReached."""
        self.take(_pair(address, email))

    def succeeded(self, address: str, email: str) -> None:
        """Forget the attempts from this address on this account."""
        self.forget(_pair(address, email))


def _pair(address: str, email: str) -> tuple[str, str]:
    """The key of one counter. An IPv6 address counts as its network; unlike elsewhere, loopback is limited too."""
    return limited_as(address) or address, email_key(email)
