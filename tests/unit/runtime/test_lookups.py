"""Look-ups: many questions, few rounds; what goes wrong stays where it belongs."""

import asyncio
from collections.abc import Sequence

from actors.runtime.limits import LOOKUP_MAX, LOOKUPS_AT_ONCE
from actors.runtime.lookups import Lookup
from protocol.errors import GuildwireError, NotFound, Unavailable


class Library:
    """Returns the double of each key, when it is released."""

    def __init__(self) -> None:
        self.rounds: list[list[int]] = []
        self.open = asyncio.Event()

    async def load(self, questions: Sequence[int]) -> list[int | GuildwireError]:
        self.rounds.append(list(questions))
        await self.open.wait()
        return [question * 2 for question in questions]


async def answers(lookup: Lookup[int, int], questions: Sequence[int]) -> list[int | GuildwireError]:
    """Ask all at once and wait for all."""
    got: dict[int, int | GuildwireError] = {}
    done = asyncio.Event()

    def hear(question: int, answer: int | GuildwireError) -> None:
        got[question] = answer
        if len(got) == len(questions):
            done.set()

    for question in questions:
        lookup.ask(question, lambda answer, question=question: hear(question, answer))  # type: ignore[misc]
    async with asyncio.timeout(10):
        await done.wait()
    return [got[question] for question in questions]


async def test_each_question_gets_its_own_answer() -> None:
    library = Library()
    library.open.set()

    assert await answers(Lookup("double", library.load), range(1000)) == [2 * n for n in range(1000)]
    assert max(len(asked) for asked in library.rounds) <= LOOKUP_MAX


async def test_questions_that_come_while_rounds_are_under_way_share_the_next() -> None:
    library, got = Library(), list[int | GuildwireError]()
    lookup = Lookup("double", library.load)
    for question in range(LOOKUPS_AT_ONCE):
        lookup.ask(question, got.append)
        await asyncio.sleep(0)
    for question in range(100, 110):
        lookup.ask(question, got.append)
    assert [len(asked) for asked in library.rounds] == [1] * LOOKUPS_AT_ONCE

    library.open.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert sorted(len(asked) for asked in library.rounds) == [1] * LOOKUPS_AT_ONCE + [10]


async def test_a_failed_round_is_unavailable_for_its_questions_and_the_next_goes_on() -> None:
    failing = True

    async def load(questions: Sequence[int]) -> list[int]:
        if failing:
            raise OSError("no database")
        return list(questions)

    lookup: Lookup[int, int] = Lookup("same", load)

    assert [type(answer) for answer in await answers(lookup, [1, 2])] == [Unavailable, Unavailable]
    failing = False
    assert await answers(lookup, [1, 2]) == [1, 2]


async def test_a_loader_that_answers_too_little_is_unavailable_to_all() -> None:
    async def load(questions: Sequence[int]) -> list[int]:
        return list(questions)[1:]

    assert [type(answer) for answer in await answers(Lookup("same", load), [1, 2])] == [Unavailable, Unavailable]


async def test_one_answer_may_be_an_error() -> None:
    missing = NotFound(entity="two")

    async def load(questions: Sequence[int]) -> list[int | GuildwireError]:
        return [missing if question == 2 else question for question in questions]

    assert await answers(Lookup("same", load), [1, 2, 3]) == [1, missing, 3]


async def test_a_crashing_callback_does_not_keep_others_from_their_result() -> None:
    async def load(questions: Sequence[int]) -> list[int]:
        return list(questions)

    def crash(answer: object) -> None:
        raise RuntimeError("a bug")

    lookup: Lookup[int, int] = Lookup("same", load)
    lookup.ask(0, crash)

    assert await answers(lookup, [1, 2]) == [1, 2]
