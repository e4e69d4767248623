"""Rate limits: a burst, then the average; bounded memory; and the key of an address."""

from uuid import UUID

import pytest

from protocol.booking.commands import ApproveBooking, CreateBooking
from protocol.errors import LimitReached
from protocol.ids import UserId
from protocol.rates import Rate
from protocol.registry import BY_TYPE
from protocol.service.views import FindSlots
from server.edge.addresses import limited_as
from server.edge.rates import Limiters, RateLimiter


class Time:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def time() -> Time:
    return Time()


def taken(limiter: RateLimiter, key: object, tries: int) -> int:
    """How many of a number of attempts pass."""
    passed = 0
    for _ in range(tries):
        try:
            limiter.take(key)
        except LimitReached:
            continue
        passed += 1
    return passed


def test_a_burst_passes_and_then_the_average(time: Time) -> None:
    limiter = RateLimiter("x", Rate(2.0, 5), now=time)

    assert taken(limiter, "a", 9) == 5
    time.at += 1.0
    assert taken(limiter, "a", 9) == 2
    time.at += 3600
    assert taken(limiter, "a", 9) == 5


def test_keys_do_not_disturb_each_other(time: Time) -> None:
    limiter = RateLimiter("x", Rate(1.0, 1), now=time)

    assert [taken(limiter, key, 3) for key in ("a", "b")] == [1, 1]


def test_the_reported_wait_is_exact(time: Time) -> None:
    limiter = RateLimiter("x", Rate(3.0, 1), now=time)
    limiter.take("a")
    with pytest.raises(LimitReached) as refused:
        limiter.take("a")

    assert refused.value.fields["limit"] == "x"
    assert refused.value.fields["retry_after_s"] == pytest.approx(1 / 3, abs=0.001)
    time.at += refused.value.fields["retry_after_s"]
    limiter.take("a")


def test_a_refused_request_takes_no_token(time: Time) -> None:
    limiter = RateLimiter("x", Rate(1.0, 1), now=time)
    taken(limiter, "a", 100)
    time.at += 1.0

    assert taken(limiter, "a", 2) == 1


def test_the_table_is_bounded_and_drops_the_least_recently_used_key(time: Time) -> None:
    limiter = RateLimiter("x", Rate(0.001, 1), keys_max=3, now=time)
    for key in ("a", "b", "c"):
        limiter.take(key)
    assert taken(limiter, "a", 1) == 0
    limiter.take("d")

    assert len(limiter) == 3
    assert [taken(limiter, key, 1) for key in ("a", "c", "d")] == [0, 0, 0]
    assert taken(limiter, "b", 1) == 1


@pytest.mark.parametrize(("per_s", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_a_rate_of_zero_is_refused(per_s: float, burst: int) -> None:
    with pytest.raises(ValueError, match="a rate needs"):
        Rate(per_s, burst)


def test_an_ipv6_user_is_a_whole_network() -> None:
    assert limited_as("2001:db8::1") == limited_as("2001:db8::2:3")
    assert limited_as("2001:db8::1") != limited_as("2001:db8:0:1::1")
    assert limited_as("::ffff:203.0.113.9") == limited_as("203.0.113.9") == "203.0.113.9"


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", ""])
def test_loopback_is_not_limited(address: str) -> None:
    assert limited_as(address) is None


def test_a_command_is_limited_by_its_own_rate(time: Time) -> None:
    limiters, user_id, declared = Limiters(now=time), UserId(UUID(int=1)), BY_TYPE[CreateBooking]
    assert declared.rate is not None
    for _ in range(declared.rate.burst):
        limiters.own(declared, user_id)
    with pytest.raises(LimitReached) as refused:
        limiters.own(declared, user_id)
    limiters.own(declared, UserId(UUID(int=2)))
    limiters.own(BY_TYPE[ApproveBooking], user_id)
    time.at += refused.value.fields["retry_after_s"]

    limiters.own(declared, user_id)
    assert refused.value.fields["limit"] == "booking.create"


def test_own_rates_can_be_switched_off(time: Time) -> None:
    limiters, user_id = Limiters(by_command=False, now=time), UserId(UUID(int=1))

    for _ in range(1_000):
        limiters.own(BY_TYPE[CreateBooking], user_id)


def test_a_query_is_limited_for_all_callers_together(time: Time) -> None:
    limiters, declared = Limiters(now=time), BY_TYPE[FindSlots]
    assert declared.rate_in_all is not None
    for number in range(declared.rate_in_all.burst):
        limiters.own(declared, str(number))
    with pytest.raises(LimitReached) as refused:
        limiters.own(declared, "one more")
    time.at += refused.value.fields["retry_after_s"]

    limiters.own(declared, "one more")
    assert refused.value.fields["limit"] == "service.slots in all"


def test_callers_on_this_machine_count_among_all_alone(time: Time) -> None:
    limiters, declared = Limiters(now=time), BY_TYPE[FindSlots]
    assert declared.rate is not None
    for _ in range(2 * declared.rate.burst):
        time.at += 1
        limiters.own(declared, None)

    assert limiters.refused_total["service.slots in all"] == 0
