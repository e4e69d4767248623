"""Batched look-ups: keys asked for while a batch is running share the next one."""

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
    """Loads one kind of record by key, many keys at a time.

    Args:
        load: loads a batch; returns one result for each key, in order. A result may be an error.
        round_max: how many keys one batch takes.
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

    def ask(self, key: Q, done: Callable[[A | GuildwireError], None]) -> None:
        """Queue a key; ``done`` is called with its result or an error."""
        self._waiting.append((key, done))
        if len(self._rounds) < LOOKUPS_AT_ONCE:
            self._rounds.add(asyncio.get_running_loop().create_task(self._run()))

    async def _run(self) -> None:
        while self._waiting:
            taken = [self._waiting.popleft() for _ in range(min(self._round_max, len(self._waiting)))]
            results = await self._load_batch([key for key, _ in taken])
            for (_, done), result in zip(taken, results, strict=True):
                try:
                    done(result)
                except Exception:
                    log.exception("lookup.listener_crashed", lookup=self._name)
        # In the same step as the last check of the queue: a later key starts a new batch.
        task = asyncio.current_task()
        assert task is not None
        self._rounds.discard(task)

    async def _load_batch(self, keys: list[Q]) -> Sequence[A | GuildwireError]:
        try:
            results = await self._load(keys)
            if len(results) != len(keys):
                raise ValueError(f"{len(keys)} keys, {len(results)} results")
            return results
        except Exception as error:
            log.exception("lookup.failed", lookup=self._name, questions=len(keys), error=repr(error))
            return [Unavailable(retry_after_s=RETRY_AFTER_S)] * len(keys)
