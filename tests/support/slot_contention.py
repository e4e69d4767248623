"""Clients that try to book the same slots at once, in this process or in one of its own.

As a process it prints ``ready``, waits for a line, and prints its result.
"""

import asyncio
import sys
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from time import perf_counter
from uuid import UUID, uuid4

import msgspec

from protocol.effects import ReserveSlot
from protocol.ids import UserId
from storage.commit import Committer, connect_committer
from storage.outcomes import OK
from tests.support.sample_decisions import NOW, booking, commit, declared, make_decision

TAKEN = "slots_no_overlap"


class ContentionResult(msgspec.Struct):
    """The result."""

    #: Bookings of each slot that were committed.
    winners: list[int]
    refused: int
    seconds: list[float]


async def contend(committers: Sequence[Committer], staff_id: UserId, clients: int, slots: int) -> ContentionResult:
    """Let each client try to book each slot; refusals are logged, as by the runtime."""
    contest = ContentionResult([0] * slots, 0, [])

    async def client(nth: int) -> None:
        committer = committers[nth % len(committers)]
        for slot in range(slots):
            began = perf_counter()
            to = booking()
            starts_at = NOW + timedelta(hours=slot, minutes=nth % 3)  # some collide with only a part of it
            claim = ReserveSlot(uuid4(), staff_id, to, starts_at, starts_at + timedelta(minutes=50))
            decision = make_decision(to, effects=[claim], audiences=[[staff_id]])
            (answer,) = await commit(committer, decision)
            if answer.status == OK:
                contest.winners[slot] += 1
            else:
                assert answer.status == TAKEN, answer
                assert decision.log is not None
                (logged,) = await commit(committer, make_decision(to, audiences=(), key=decision.log.key))
                assert logged.status == OK, logged
                contest.refused += 1
            contest.seconds.append(perf_counter() - began)

    await asyncio.gather(*[client(nth) for nth in range(clients)])
    return contest


async def main() -> None:
    """Run when a line is read from the standard input."""
    dsn, staff_id, clients, slots = sys.argv[1:]
    committer = Committer(partial(connect_committer, dsn))
    await committer.start()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    with declared():
        contest = await contend([committer], UserId(UUID(staff_id)), int(clients), int(slots))
    await committer.stop()
    sys.stdout.buffer.write(msgspec.json.encode(contest))


if __name__ == "__main__":
    asyncio.run(main())
