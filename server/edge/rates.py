"""The bounds of the HTTP transport, and the rate limits that it shares with the WebSocket."""

import math
from collections.abc import Callable
from time import monotonic

from msgspec import Struct

from protocol.errors import LimitReached
from protocol.ids import UserId
from protocol.registry import Declaration
from server.edge.config import LimitsConfig

#: Addresses or users that one rate limit remembers.
RATE_KEYS_MAX = 50_000


class Rate(Struct, frozen=True, forbid_unknown_fields=True):
    """So many a second on average, and a burst on top after a pause."""

    per_s: float
    burst: int

    def __post_init__(self) -> None:
        if not (self.per_s > 0 and self.burst >= 1):
            raise ValueError("a rate needs per_s > 0 and burst >= 1")


class RateLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rates of one node. Loopback addresses are not limited by address, unless they forward for somebody."""

    #: Requests of one address, whatever they ask.
    requests_per_address: Rate = Rate(200, 800)
    #: Calls without an account that change something (sign-in, sign-up, reset) from one address.
    public_per_address: Rate = Rate(5, 60)
    #: Commands and procedures of one user, REST and WebSocket together.
    commands_per_user: Rate = Rate(100, 400)
    #: Queries of one user.
    queries_per_user: Rate = Rate(100, 400)


class RateLimiter:
    """A token bucket for each key, in a table that never outgrows ``keys_max``.

    A bucket is one number: the time at which it is full again. The key that was quiet for longest makes room.
    """

    def __init__(
        self,
        name: str,
        rate: Rate,
        *,
        keys_max: int = RATE_KEYS_MAX,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self.name = name
        self.rate = rate
        self._token_s = 1.0 / rate.per_s
        self._depth_s = rate.burst * self._token_s
        self._keys_max = keys_max
        self._now = now
        self._full_at: dict[object, float] = {}
        #: How many were refused.
        self.refused_total = 0

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: object) -> None:
        """Take one token from the key's bucket. Raises: LimitReached."""
        now = self._now()
        full_at = max(self._full_at.pop(key, now), now)
        wait_s = full_at + self._token_s - now - self._depth_s
        if wait_s > 1e-9:
            self._full_at[key] = full_at
            self.refused_total += 1
            raise LimitReached(limit=self.name, retry_after_s=math.ceil(wait_s * 1000) / 1000)
        if len(self._full_at) >= self._keys_max:
            del self._full_at[next(iter(self._full_at))]
        self._full_at[key] = full_at + self._token_s


#: How many seconds' worth of a configured rate may come at once.
BURST_S = 4.0


def configured_rates(limits: LimitsConfig) -> RateLimits:
    """The rates that the section [limits] sets, each with its burst."""

    def rate(per_s: float) -> Rate:
        return Rate(per_s, max(1, round(per_s * BURST_S)))

    return RateLimits(
        requests_per_address=rate(limits.requests_per_address_per_s),
        commands_per_user=rate(limits.commands_per_s),
        queries_per_user=rate(limits.queries_per_s),
    )


class Limiters:
    """The rate limits in force on this node; the gateway shares those of users with REST.

    Args:
        by_command: whether commands that declare a rate of their own are held to it.
    """

    def __init__(
        self, rates: RateLimits | None = None, *, by_command: bool = True, now: Callable[[], float] = monotonic
    ) -> None:
        rates = rates or RateLimits()
        self.requests = RateLimiter("requests_per_address", rates.requests_per_address, now=now)
        self.public = RateLimiter("public_per_address", rates.public_per_address, now=now)
        self.commands = RateLimiter("commands_per_user", rates.commands_per_user, now=now)
        self.queries = RateLimiter("queries_per_user", rates.queries_per_user, now=now)
        self._all = [self.requests, self.public, self.commands, self.queries]
        self._by_command: dict[str, RateLimiter] | None = {} if by_command else None
        self._now = now

    def command(self, user_id: UserId) -> None:
        """Count one command of a user, over any transport. Raises: LimitReached."""
        self.commands.take(user_id.int)  # ids hash and compare in Python

    def own(self, declaration: Declaration, user_id: UserId) -> None:
        """Count a command that has a rate of its own, over any transport. Raises: LimitReached, naming the command."""
        if self._by_command is None or declaration.rate is None:
            return
        limiter = self._by_command.get(declaration.name)
        if limiter is None:
            own = declaration.rate
            rate = Rate(own.times / own.window_s, own.times)
            limiter = self._by_command[declaration.name] = RateLimiter(declaration.name, rate, now=self._now)
            self._all.append(limiter)
        limiter.take(user_id)

    def query(self, user_id: UserId) -> None:
        """Count one query of a user, over any transport. Raises: LimitReached."""
        self.queries.take(user_id.int)

    @property
    def refused_total(self) -> dict[str, int]:
        """How many were refused, by the limit's name."""
        return {limiter.name: limiter.refused_total for limiter in self._all}
