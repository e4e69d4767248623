"""Failed sign-ins are limited by address and account together: nobody can lock somebody else out from afar."""

from collections.abc import Callable
from time import monotonic

from protocol.rates import Rate
from protocol.user.terms import email_key
from server.accounts.limits import SIGN_IN_ATTEMPTS, SIGN_IN_KEYS_MAX
from server.edge.addresses import limited_as
from server.edge.rates import RateLimiter


class Attempts(RateLimiter):
    """Counts each attempt before its password is looked at, and forgets them when one succeeds."""

    def __init__(
        self, rate: Rate = SIGN_IN_ATTEMPTS, *, keys_max: int = SIGN_IN_KEYS_MAX, now: Callable[[], float] = monotonic
    ) -> None:
        super().__init__("sign_in_attempts", rate, keys_max=keys_max, now=now)

    def begin(self, address: str, email: str) -> None:
        """Count one attempt. Raises: LimitReached."""
        self.take(_pair(address, email))

    def succeeded(self, address: str, email: str) -> None:
        """Forget the attempts from there to that account."""
        self.forget(_pair(address, email))


def _pair(address: str, email: str) -> tuple[str, str]:
    """An IPv6 user has a whole network to try from; this machine counts here too."""
    return limited_as(address) or address, email_key(email)
