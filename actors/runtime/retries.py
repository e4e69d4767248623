"""Retries: the same command under the same id is decided once, and answered as often as it comes.

While the first is being decided, its retries wait for it. What was answered before is answered from the command log.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import msgspec

from actors.runtime.call import Call, Outcome
from actors.runtime.limits import RETRY_WAIT_S, WAITING_RETRIES_MAX
from actors.runtime.lookups import Lookup
from protocol.errors import RETRY_AFTER_S, CommandIdReused, GuildwireError, InFlight, Unavailable, revive
from storage.actors import StoredReply

#: Reads stored answers by principal and command id, in the order asked for; None where there is none.
LoadReplies = Callable[[Sequence[tuple[UUID, str]]], Awaitable[Sequence[StoredReply | None]]]


class Retries:
    """Answers whoever asks again.

    Args:
        tell: gives a call its outcome; a crash of its listener is nobody else's.
    """

    def __init__(self, load_replies: LoadReplies, tell: Callable[[Call, Outcome], None]) -> None:
        self._answers: Lookup[tuple[UUID, str], StoredReply | None] = Lookup("answers", load_replies)
        self._tell = tell

    def join(self, first: Call, call: Call) -> None:
        """Let a retry of a command that is still being decided wait for it, within bounds."""
        if first.hash != call.hash:
            self._refuse(call)
            return
        tell = call.done
        later = Outcome(call.to, error=InFlight(id=call.key, retry_after_s=RETRY_AFTER_S))
        if len(first.retries) >= WAITING_RETRIES_MAX:
            tell(later)
            return

        def give_up() -> None:
            first.retries.remove(call)
            tell(later)

        timer = asyncio.get_running_loop().call_later(RETRY_WAIT_S, give_up)

        def done(outcome: Outcome) -> None:
            timer.cancel()
            tell(outcome)

        call.done = done
        first.retries.append(call)

    def answer(self, call: Call, done: Callable[[Outcome], None]) -> None:
        """Give the answer that the log has for a command."""
        self._ask(call, done, missing=Unavailable(retry_after_s=RETRY_AFTER_S))

    def _refuse(self, call: Call) -> None:
        """Something else is under way under this id; unless that is the misuse, and this the command of old."""

        def done(outcome: Outcome) -> None:
            self._tell(call, outcome)

        self._ask(call, done, missing=CommandIdReused(id=call.key))

    def _ask(self, call: Call, done: Callable[[Outcome], None], missing: GuildwireError) -> None:
        def answered(answer: StoredReply | GuildwireError | None) -> None:
            if answer is None:
                done(Outcome(call.to, error=missing))
            elif isinstance(answer, GuildwireError):
                done(Outcome(call.to, error=answer))
            elif answer.hash != call.hash:
                done(Outcome(call.to, error=CommandIdReused(id=call.key)))
            else:
                done(_stored_outcome(answer))

        self._answers.ask((call.principal.user_id, call.key), answered)


def _stored_outcome(answer: StoredReply) -> Outcome:
    if answer.refused:
        refused = msgspec.json.decode(answer.reply)
        return Outcome(answer.to, answer.version, replayed=True, error=revive(refused["code"], refused["fields"]))
    return Outcome(answer.to, answer.version, answer.reply, answer.seq, replayed=True)
