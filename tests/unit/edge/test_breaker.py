"""The breaker stops calling a failing provider, and tests it with one batch after a pause."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.edge.breaker import PAUSE_ASKED_MAX_S, Breaker, BreakerState


class Seconds:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


@pytest.fixture
def breaker(clock: Seconds) -> Breaker:
    return Breaker(clock, failures_max=3, pause_first_s=5.0, pause_max_s=20.0)


def fail(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        breaker.failed(breaker.begin())


def test_it_opens_after_failures_max_in_a_row(breaker: Breaker) -> None:
    fail(breaker, 2)
    assert (breaker.state, breaker.wait_s) == (BreakerState.CLOSED, 0.0)

    fail(breaker)

    assert (breaker.state, breaker.wait_s) == (BreakerState.OPEN, 5.0)


def test_one_success_between_failures_starts_the_count_again(breaker: Breaker) -> None:
    fail(breaker, 2)
    breaker.begin()
    breaker.succeeded()
    fail(breaker, 2)

    assert breaker.state is BreakerState.CLOSED


def test_after_the_pause_one_batch_may_be_sent(breaker: Breaker, clock: Seconds) -> None:
    fail(breaker, 3)
    clock.now += 5.0
    assert (breaker.state, breaker.wait_s) == (BreakerState.HALF_OPEN, 0.0)

    breaker.begin()

    assert breaker.wait_s == math.inf
    assert not breaker.admits(breaker.begin())


def test_a_success_closes_it(breaker: Breaker, clock: Seconds) -> None:
    fail(breaker, 3)
    clock.now += 5.0
    breaker.begin()

    breaker.succeeded()

    assert (breaker.state, breaker.wait_s) == (BreakerState.CLOSED, 0.0)


def test_each_further_failure_doubles_the_pause_up_to_a_bound(breaker: Breaker, clock: Seconds) -> None:
    fail(breaker, 3)
    pauses = []
    for _ in range(4):
        clock.now += breaker.wait_s
        fail(breaker)
        pauses.append(breaker.wait_s)

    assert pauses == [10.0, 20.0, 20.0, 20.0]


def test_after_it_closed_the_pause_starts_at_the_first_length(breaker: Breaker, clock: Seconds) -> None:
    fail(breaker, 3)
    clock.now += breaker.wait_s
    fail(breaker)
    clock.now += breaker.wait_s
    breaker.begin()
    breaker.succeeded()

    fail(breaker, 3)

    assert breaker.wait_s == 5.0


def test_failures_of_batches_that_were_under_way_when_it_opened_count_once(breaker: Breaker) -> None:
    eras = [breaker.begin() for _ in range(6)]

    for era in eras:
        breaker.failed(era)

    assert breaker.wait_s == 5.0


def test_a_dropped_probe_allows_another_one(breaker: Breaker, clock: Seconds) -> None:
    fail(breaker, 3)
    clock.now += 5.0

    breaker.dropped(breaker.begin())

    assert (breaker.state, breaker.wait_s) == (BreakerState.HALF_OPEN, 0.0)


def test_a_batch_is_not_sent_once_the_breaker_has_opened(breaker: Breaker) -> None:
    waiting = breaker.begin()
    assert breaker.admits(waiting)

    fail(breaker, 3)

    assert not breaker.admits(waiting)


def test_a_provider_that_asks_for_a_pause_gets_it(breaker: Breaker, clock: Seconds) -> None:
    era = breaker.begin()

    breaker.pause(60.0)

    assert (breaker.state, breaker.wait_s, breaker.admits(era)) == (BreakerState.CLOSED, 60.0, False)
    clock.now += 60.0
    assert (breaker.wait_s, breaker.admits(era)) == (0.0, True)


def test_a_shorter_pause_does_not_cut_a_longer_one(breaker: Breaker) -> None:
    breaker.pause(60.0)
    breaker.pause(1.0)

    assert breaker.wait_s == 60.0


def test_a_requested_pause_is_bounded(breaker: Breaker) -> None:
    breaker.pause(1e9)

    assert breaker.wait_s == PAUSE_ASKED_MAX_S


@given(st.lists(st.sampled_from(["begin", "good", "bad", "nothing", "wait", "asked"]), max_size=60))
def test_after_any_sequence_it_admits_a_batch_again(steps: list[str]) -> None:
    clock = Seconds()
    breaker = Breaker(clock, failures_max=2, pause_first_s=5.0, pause_max_s=20.0)
    under_way: list[int] = []
    for step in steps:
        if step == "begin" and breaker.wait_s == 0.0:
            under_way.append(breaker.begin())
        elif step == "wait":
            clock.now += 3.0
        elif step == "asked":
            breaker.pause(7.0)
        elif under_way and step == "good":
            under_way.pop()
            breaker.succeeded()
        elif under_way and step in ("bad", "nothing"):
            era = under_way.pop(0)
            breaker.failed(era) if step == "bad" else breaker.dropped(era)

    for era in under_way:
        breaker.failed(era)

    assert breaker.wait_s <= 20.0
    clock.now += 20.0
    breaker.begin()
    breaker.succeeded()
    assert (breaker.state, breaker.wait_s) == (BreakerState.CLOSED, 0.0)
