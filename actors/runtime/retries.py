"""Retries: a command is decided once for each command id, and each retry gets the same outcome.

While the first command is being decided, its retries wait for it. Later ones get the reply from the command log.
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

#: Reads stored replies by principal and command id, in the order asked for; None where there is none.
LoadReplies = Callable[[Sequence[tuple[UUID, str]]], Awaitable[Sequence[StoredReply | None]]]


class Retries:
    """Gives retries the outcome of the first command of their id.

    Args:
        report: reports an outcome to a call and logs a crash of its callback.
    """

    def __init__(self, load_replies: LoadReplies, report: Callable[[Call, Outcome], None]) -> None:
        self._replies: Lookup[tuple[UUID, str], StoredReply | None] = Lookup("replies", load_replies)
        self._report = report

    def join(self, first: Call, call: Call) -> None:
        """Let a retry wait for the first command of its id, within ``RETRY_WAIT_S``."""
        if first.hash != call.hash:
            self._refuse(call)
            return
        report = call.done
        later = Outcome(call.to, error=InFlight(id=call.key, retry_after_s=RETRY_AFTER_S))
        if len(first.retries) >= WAITING_RETRIES_MAX:
            report(later)
            return

        def stop_waiting() -> None:
            first.retries.remove(call)
            report(later)

        timer = asyncio.get_running_loop().call_later(RETRY_WAIT_S, stop_waiting)

        def done(outcome: Outcome) -> None:
            timer.cancel()
            report(outcome)

        call.done = done
        first.retries.append(call)

    def reply(self, call: Call, done: Callable[[Outcome], None]) -> None:
        """Call ``done`` with the outcome that the command log has for a command."""
        self._ask(call, done, missing=Unavailable(retry_after_s=RETRY_AFTER_S))

    def _refuse(self, call: Call) -> None:
        """Refuse a command whose id another command in flight has; unless the command log has this one's reply."""

        def done(outcome: Outcome) -> None:
            self._report(call, outcome)

        self._ask(call, done, missing=CommandIdReused(id=call.key))

    def _ask(self, call: Call, done: Callable[[Outcome], None], missing: GuildwireError) -> None:
        def loaded(stored: StoredReply | GuildwireError | None) -> None:
            if stored is None:
                done(Outcome(call.to, error=missing))
            elif isinstance(stored, GuildwireError):
                done(Outcome(call.to, error=stored))
            elif stored.hash != call.hash:
                done(Outcome(call.to, error=CommandIdReused(id=call.key)))
            else:
                done(_stored_outcome(stored))

        self._replies.ask((call.principal.user_id, call.key), loaded)


def _stored_outcome(stored: StoredReply) -> Outcome:
    if stored.refused:
        refused = msgspec.json.decode(stored.reply)
        return Outcome(stored.to, stored.version, replayed=True, error=revive(refused["code"], refused["fields"]))
    return Outcome(stored.to, stored.version, stored.reply, stored.seq, replayed=True)
