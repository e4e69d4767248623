"""Batched look-ups: questions asked while a round is under way share the next one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import structlog

from actors.runtime.limits import LOOKUP_MAX, LOOKUPS_AT_ONCE
from protocol.errors import RETRY_AFTER_S, GuildwireError, Unavailable

Q = TypeVar("Q")
A = TypeVar("A")

log = structlog.get_logger()


class Lookup(Generic[Q, A]):
    """Asks one kind of question, many at a time.

    Args:
        load: answers a round, one answer for each question, in order; an answer may be an error.
        round_max: how many questions one round takes.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[Sequence[Q]], Awaitable[Sequence[A | GuildwireError]]],
        round_max: int = LOOKUP_MAX,
    ) -> None:
        self._name = name
        self._round_max = round_max
        self._load = load
        self._waiting: deque[tuple[Q, Callable[[A | GuildwireError], None]]] = deque()
        self._rounds: set[asyncio.Task[None]] = set()

    def ask(self, question: Q, done: Callable[[A | GuildwireError], None]) -> None:
        """Queue a question; ``done`` gets its answer, or the error that stands in its way."""
        self._waiting.append((question, done))
        if len(self._rounds) < LOOKUPS_AT_ONCE:
            self._rounds.add(asyncio.get_running_loop().create_task(self._run()))

    async def _run(self) -> None:
        while self._waiting:
            taken = [self._waiting.popleft() for _ in range(min(self._round_max, len(self._waiting)))]
            answers = await self._answers([question for question, _ in taken])
            for (_, done), answer in zip(taken, answers, strict=True):
                try:
                    done(answer)
                except Exception:
                    log.exception("lookup.listener_crashed", lookup=self._name)
        # In the same step as the last look at the queue: whoever asks from now on starts a round of their own.
        task = asyncio.current_task()
        assert task is not None
        self._rounds.discard(task)

    async def _answers(self, questions: list[Q]) -> Sequence[A | GuildwireError]:
        try:
            answers = await self._load(questions)
            if len(answers) != len(questions):
                raise ValueError(f"{len(questions)} questions, {len(answers)} answers")
            return answers
        except Exception as error:
            log.exception("lookup.failed", lookup=self._name, questions=len(questions), error=repr(error))
            return [Unavailable(retry_after_s=RETRY_AFTER_S)] * len(questions)
