"""A token bucket admits a burst, then its rate, and never more than both allow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.rates import Rate
from server.edge.token_bucket import TokenBucket


def test_a_burst_is_admitted_and_then_the_rate() -> None:
    bucket = TokenBucket(Rate(10.0, 5))
    assert bucket.room(1000.0) == 5

    assert bucket.take(1000.0, 5) == 0.0

    assert bucket.room(1000.0) == 0
    assert bucket.wait_s(1000.0, 1) == pytest.approx(0.1)
    assert bucket.room(1000.25) == 2


def test_a_refused_take_takes_no_token_and_returns_the_wait() -> None:
    bucket = TokenBucket(Rate(2.0, 3))
    bucket.take(0.0, 2)

    assert bucket.take(0.0, 3) == 1.0
    assert bucket.room(0.0) == 1


@given(st.lists(st.floats(0.0, 2.0), max_size=50))
def test_no_more_is_admitted_than_rate_and_burst_allow(waits: list[float]) -> None:
    bucket, began, now, sent = TokenBucket(Rate(7.0, 3)), 1000.0, 1000.0, 0
    for wait in waits:
        room = bucket.room(now)
        assert bucket.take(now, room) == 0.0
        sent += room
        now += wait
        assert sent <= 3 + 7.0 * (now - began) + 1e-3


def test_tokens_are_available_after_the_reported_wait() -> None:
    bucket = TokenBucket(Rate(3.0, 4))
    bucket.take(1000.0, 4)

    assert bucket.room(1000.0 + bucket.wait_s(1000.0, 2)) == 2


def test_a_bucket_is_never_fuller_than_its_burst() -> None:
    bucket = TokenBucket(Rate(1.0, 2))
    bucket.take(0.0, 2)

    assert bucket.room(3600.0) == 2
