"""Rate limits by address, user and command, shared by all transports."""

import math
from collections.abc import Callable
from time import monotonic

from msgspec import Struct

from protocol.errors import LimitReached
from protocol.ids import UserId
from protocol.rates import Rate
from protocol.registry import Declaration
from server.edge.config import LimitsConfig
from server.edge.refusals import Refusals
from server.edge.token_bucket import TokenBucket

#: Addresses or users that one rate limit keeps track of.
RATE_KEYS_MAX = 50_000


class RateLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rates of one node. Loopback is not limited by address, except for the clients of a proxy there."""

    #: All requests of one address.
    requests_per_address: Rate = Rate(200, 800)
    #: Calls without an account that change something (sign-in, sign-up, reset) from one address.
    public_per_address: Rate = Rate(5, 60)
    #: Commands and procedures of one user, REST and WebSocket together.
    commands_per_user: Rate = Rate(100, 400)
    #: Queries of one user.
    queries_per_user: Rate = Rate(100, 400)


class RateLimiter:
    """A token bucket for each key, for at most ``keys_max`` keys.

    A new key replaces the least recently used one.
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
        self._keys_max = keys_max
        self._now = now
        #: Least recently used key first.
        self._buckets: dict[object, TokenBucket] = {}
        self.refused_total = 0

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: object) -> None:
        """Take one token from the key's bucket. Raises: LimitReached."""
        bucket = self._buckets.pop(key, None)
        if bucket is None:
            bucket = TokenBucket(self.rate)
            if len(self._buckets) >= self._keys_max:
                del self._buckets[next(iter(self._buckets))]
        self._buckets[key] = bucket
        wait_s = bucket.take(self._now())
        if wait_s:
            self.refused_total += 1
            raise LimitReached(limit=self.name, retry_after_s=math.ceil(wait_s * 1000) / 1000)

    def forget(self, key: object) -> None:
        """Drop the key's bucket, so that its next one is full."""
        self._buckets.pop(key, None)


#: Log lines about refused sign-ins and tokens of one address; further ones are only counted.
REFUSALS_LOGGED = Rate(1, 60)

#: Burst of a configured rate, in seconds' worth of it.
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
    """The rate limits of this node; REST and live share those of users.

    Args:
        by_command: whether the rates that single commands declare are enforced.
    """

    def __init__(
        self, rates: RateLimits | None = None, *, by_command: bool = True, now: Callable[[], float] = monotonic
    ) -> None:
        rates = rates or RateLimits()
        self.requests = RateLimiter("requests_per_address", rates.requests_per_address, now=now)
        self.public = RateLimiter("public_per_address", rates.public_per_address, now=now)
        self.commands = RateLimiter("commands_per_user", rates.commands_per_user, now=now)
        self.queries = RateLimiter("queries_per_user", rates.queries_per_user, now=now)
        #: Refused sign-ins and tokens, of all transports.
        self.refusals = Refusals(RateLimiter("refusals_logged", REFUSALS_LOGGED, now=now).take)
        self._all = [self.requests, self.public, self.commands, self.queries]
        self._by_command: dict[str, RateLimiter] | None = {} if by_command else None
        self._now = now

    def command(self, user_id: UserId) -> None:
        """Count one command of a user, over any transport. Raises: LimitReached."""
        self.commands.take(user_id.int)  # ids hash and compare in Python

    def own(self, declaration: Declaration, key: UserId | str | None) -> None:
        """Count a command or query that has a rate of its own, over any transport.

        Args:
            key: the user, or the address of a caller without a token; None: only the rate of all callers applies.

        Raises: LimitReached, naming the command or query.
        """
        if self._by_command is None or declaration.rate is None:
            return
        if key is not None:
            self._own(declaration.name, declaration.rate).take(key)
        if declaration.rate_in_all is not None:
            self._own(f"{declaration.name} in all", declaration.rate_in_all).take(None)

    def _own(self, name: str, rate: Rate) -> RateLimiter:
        assert self._by_command is not None
        limiter = self._by_command.get(name)
        if limiter is None:
            limiter = self._by_command[name] = RateLimiter(name, rate, now=self._now)
            self._all.append(limiter)
        return limiter

    def query(self, user_id: UserId) -> None:
        """Count one query of a user, over any transport. Raises: LimitReached."""
        self.queries.take(user_id.int)

    @property
    def refused_total(self) -> dict[str, int]:
        """Refused requests by the limit's name."""
        return {limiter.name: limiter.refused_total for limiter in self._all}
