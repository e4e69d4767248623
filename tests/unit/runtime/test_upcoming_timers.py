"""What the clock knows of the agenda: the rows due soonest, bounded, and honest about what it left out."""

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

from actors.runtime.upcoming_timers import UpcomingTimers
from protocol.ids import AgendaId, Kind, Ref
from storage.agenda import Due

START = datetime(2026, 1, 1, tzinfo=UTC)
ACTOR = UUID(int=7)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def row(seconds: float, number: int, name: str | None = None, actor: UUID = ACTOR) -> Due:
    return Due(AgendaId(UUID(int=number)), Ref(Kind.BOOKING, actor), name, at(seconds), None, "x", "{}", "")


def numbers(rows: list[Due]) -> list[int]:
    return [due.agenda_id.int for due in rows]


def test_rows_come_out_in_the_order_they_are_due() -> None:
    timers = UpcomingTimers(10)
    for seconds, number in ((30, 1), (10, 2), (20, 3), (10, 4)):
        timers.add(row(seconds, number))

    assert timers.first_at == at(10)
    assert numbers(timers.take(at(20), 10)) == [2, 4, 3]
    assert numbers(timers.take(at(20), 10)) == []
    assert len(timers) == 1


def test_no_more_are_taken_than_asked_for() -> None:
    timers = UpcomingTimers(10)
    for number in range(5):
        timers.add(row(1, number))

    assert numbers(timers.take(at(2), 3)) == [0, 1, 2]
    assert numbers(timers.take(at(2), -1)) == []
    assert numbers(timers.take(at(2), 3)) == [3, 4]


def test_a_timer_replaces_the_one_of_its_name_and_a_message_replaces_nothing() -> None:
    timers = UpcomingTimers(10)
    timers.add(row(10, 1, "remind"))
    timers.add(row(20, 2, "remind"))
    timers.add(row(10, 3, "remind", UUID(int=8)))
    timers.add(row(10, 4))
    timers.add(row(10, 5))
    timers.add(row(10, 5))

    assert numbers(timers.take(at(60), 10)) == [3, 4, 5, 2]


def test_a_timer_that_is_forgotten_does_not_come_out() -> None:
    timers = UpcomingTimers(10)
    timers.add(row(10, 1, "remind"))
    timers.remove(Ref(Kind.BOOKING, ACTOR), "remind")
    timers.remove(Ref(Kind.BOOKING, ACTOR), "nothing")

    assert (len(timers), timers.take(at(60), 10)) == (0, [])


def test_of_too_many_the_last_are_left_out_and_so_is_what_is_behind_them() -> None:
    timers = UpcomingTimers(2)
    for seconds, number in ((30, 3), (20, 2), (10, 1)):
        timers.add(row(seconds, number))
    assert timers.truncated

    timers.take(at(10), 10)
    timers.add(row(40, 4))

    assert numbers(timers.take(at(60), 10)) == [2]


def test_what_was_left_out_is_taken_in_when_it_is_told_again() -> None:
    timers = UpcomingTimers(2)
    for number in (1, 2, 3):
        timers.add(row(number, number))
    timers.take(at(1), 10)

    timers.begin_load()
    timers.add(row(3, 3))

    assert not timers.truncated
    assert numbers(timers.take(at(60), 10)) == [2, 3]


def test_what_was_not_told_to_the_end_counts_as_left_out() -> None:
    timers = UpcomingTimers(10)
    timers.add(row(1, 1))
    timers.end_load_early()

    timers.add(row(5, 5))

    assert timers.truncated
    assert numbers(timers.take(at(60), 10)) == [1]


def test_whatever_happens_it_holds_the_first_of_all_that_it_was_told() -> None:
    for seed in range(40):
        chance, timers, told, taken = random.Random(seed), UpcomingTimers(8), dict[int, Due](), list[int]()
        for number in range(60):
            due = row(chance.randrange(100), number, f"n{number}")
            timers.add(due)
            told[number] = due
            if chance.random() < 0.1 and told:
                gone = chance.choice(sorted(told))
                timers.remove(told[gone].to, f"n{gone}")
                del told[gone]
            if chance.random() < 0.3:
                timers.begin_load()
                for again in told.values():  # as a scan would
                    timers.add(again)
        while told:
            timers.begin_load()
            for again in told.values():
                timers.add(again)
            some = numbers(timers.take(at(200), 5))
            assert len(some) == min(5, len(told))
            for number in some:
                del told[number]
            taken += some

        assert len(taken) == len(set(taken))
