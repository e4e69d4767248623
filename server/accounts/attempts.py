"""Failed sign-ins are limited by address and account together, so that nobody can lock another user out."""

from collections.abc import Callable
from time import monotonic

from protocol.rates import Rate
from protocol.user.terms import email_key
from server.accounts.limits import SIGN_IN_ATTEMPTS, SIGN_IN_KEYS_MAX
from server.edge.addresses import limited_as
from server.edge.rates import RateLimiter


class Attempts(RateLimiter):
    """Counts each attempt before its password is checked, and forgets them when one succeeds."""

    def __init__(
        self, rate: Rate = SIGN_IN_ATTEMPTS, *, keys_max: int = SIGN_IN_KEYS_MAX, now: Callable[[], float] = monotonic
    ) -> None:
        super().__init__("sign_in_attempts", rate, keys_max=keys_max, now=now)

    def begin(self, address: str, email: str) -> None:
        """Count one attempt. Raises: LimitReached."""
        self.take(_pair(address, email))

    def succeeded(self, address: str, email: str) -> None:
        """Forget the attempts from an address to an account."""
        self.forget(_pair(address, email))


def _pair(address: str, email: str) -> tuple[str, str]:
    """The key of an attempt: an IPv6 client has a whole network; unlike elsewhere, loopback addresses count."""
    return limited_as(address) or address, email_key(email)
