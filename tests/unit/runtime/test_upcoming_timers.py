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
    soon = UpcomingTimers(10)
    for seconds, number in ((30, 1), (10, 2), (20, 3), (10, 4)):
        soon.hold(row(seconds, number))

    assert soon.first_at == at(10)
    assert numbers(soon.take(at(20), 10)) == [2, 4, 3]
    assert numbers(soon.take(at(20), 10)) == []
    assert len(soon) == 1


def test_no_more_are_taken_than_asked_for() -> None:
    soon = UpcomingTimers(10)
    for number in range(5):
        soon.hold(row(1, number))

    assert numbers(soon.take(at(2), 3)) == [0, 1, 2]
    assert numbers(soon.take(at(2), -1)) == []
    assert numbers(soon.take(at(2), 3)) == [3, 4]


def test_a_timer_replaces_the_one_of_its_name_and_a_message_replaces_nothing() -> None:
    soon = UpcomingTimers(10)
    soon.hold(row(10, 1, "remind"))
    soon.hold(row(20, 2, "remind"))
    soon.hold(row(10, 3, "remind", UUID(int=8)))
    soon.hold(row(10, 4))
    soon.hold(row(10, 5))
    soon.hold(row(10, 5))

    assert numbers(soon.take(at(60), 10)) == [3, 4, 5, 2]


def test_a_timer_that_is_forgotten_does_not_come_out() -> None:
    soon = UpcomingTimers(10)
    soon.hold(row(10, 1, "remind"))
    soon.forget(Ref(Kind.BOOKING, ACTOR), "remind")
    soon.forget(Ref(Kind.BOOKING, ACTOR), "nothing")

    assert (len(soon), soon.take(at(60), 10)) == (0, [])


def test_of_too_many_the_last_are_left_out_and_so_is_what_is_behind_them() -> None:
    soon = UpcomingTimers(2)
    for seconds, number in ((30, 3), (20, 2), (10, 1)):
        soon.hold(row(seconds, number))
    assert soon.left_out

    soon.take(at(10), 10)
    soon.hold(row(40, 4))

    assert numbers(soon.take(at(60), 10)) == [2]


def test_what_was_left_out_is_taken_in_when_it_is_told_again() -> None:
    soon = UpcomingTimers(2)
    for number in (1, 2, 3):
        soon.hold(row(number, number))
    soon.take(at(1), 10)

    soon.reopen()
    soon.hold(row(3, 3))

    assert not soon.left_out
    assert numbers(soon.take(at(60), 10)) == [2, 3]


def test_what_was_not_told_to_the_end_counts_as_left_out() -> None:
    soon = UpcomingTimers(10)
    soon.hold(row(1, 1))
    soon.close()

    soon.hold(row(5, 5))

    assert soon.left_out
    assert numbers(soon.take(at(60), 10)) == [1]


def test_whatever_happens_it_holds_the_first_of_all_that_it_was_told() -> None:
    for seed in range(40):
        chance, soon, told, taken = random.Random(seed), UpcomingTimers(8), dict[int, Due](), list[int]()
        for number in range(60):
            due = row(chance.randrange(100), number, f"n{number}")
            soon.hold(due)
            told[number] = due
            if chance.random() < 0.1 and told:
                gone = chance.choice(sorted(told))
                soon.forget(told[gone].to, f"n{gone}")
                del told[gone]
            if chance.random() < 0.3:
                soon.reopen()
                for again in told.values():  # as a scan would
                    soon.hold(again)
        while told:
            soon.reopen()
            for again in told.values():
                soon.hold(again)
            some = numbers(soon.take(at(200), 5))
            assert len(some) == min(5, len(told))
            for number in some:
                del told[number]
            taken += some

        assert len(taken) == len(set(taken))
