"""The real runtime, committer and agenda on a real database, for tests that send commands and look at the outcome.

async with make_runtime(database_dsn, pool, {Kind.CONVERSATION: Conversation}, facts) as node:
    outcome = await node.send(PostMessage(conversation_id=ID, text="Hello"), customer)
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from msgspec import Struct

from actors.actor import Actor
from actors.runtime.agenda import Agenda
from actors.runtime.call import SYSTEM_PRINCIPAL, Outcome, Published
from actors.runtime.clock import Clock
from actors.runtime.limits import SCAN_PAGE
from actors.runtime.turns import FactsLoader, Runtime
from protocol.ids import Kind, Ref
from protocol.registry import BY_TYPE, Command
from protocol.roles import Principal
from storage.actors import load_replies, load_states
from storage.agenda import load_due, quarantine
from storage.commit import Committer, connect_committer
from storage.database import Pool

#: How long ``at_rest`` waits for messages between actors.
REST_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Node:
    """One node of the system without its edges."""

    pool: Pool
    runtime: Runtime
    committer: Committer
    agenda: Agenda
    clock: Clock
    #: Every committed event with recipients, in the order of their commits.
    heard: list[Published]

    async def send(
        self,
        command: Command,
        principal: Principal = SYSTEM_PRINCIPAL,
        *,
        to: UUID | None = None,
        key: str | None = None,
    ) -> Outcome:
        """Send a command as the edges do: to the actor that its declaration names.

        Args:
            to: the actor, where the command does not name it: a new one, or the sender's own.
            key: the command id; None makes a new one.
        """
        declared = BY_TYPE[type(command)]
        assert declared.actor is not None, f"{declared.name} is no command"
        if to is None:
            to = self._addressee(command, principal)
        return await self.runtime.call(command, Ref(declared.actor, to), principal, key=key)

    def _addressee(self, command: Command, principal: Principal) -> UUID:
        return BY_TYPE[type(command)].addressee(command, principal) or self.runtime.new_id()

    async def advance(self, by: timedelta) -> None:
        """Let time pass: everything that falls due until then fires."""
        self.clock.advance(by)
        await self.agenda.time_moved()
        await self.at_rest()

    async def at_rest(self) -> None:
        """Wait until every message between actors, and every timer that is due, has been handled."""
        due = "SELECT EXISTS (SELECT FROM agenda WHERE due_at <= $1)"
        async with asyncio.timeout(REST_TIMEOUT_S):
            await self.runtime.drain()
            while await self.pool.fetchval(due, self.clock.now()):
                await self.runtime.drain()


@asynccontextmanager
async def make_runtime(
    dsn: str,
    pool: Pool,
    actors: Mapping[Kind, type[Actor[Any]]],
    facts: Mapping[type[Struct], FactsLoader],
) -> AsyncIterator[Node]:
    """Start a node on the database, with these actors and the loaders of the facts that they ask for."""
    committer = Committer(partial(connect_committer, dsn))
    await committer.start()
    heard: list[Published] = []
    clock = Clock()
    runtime = Runtime(
        actors=actors,
        facts=facts,
        commits=committer,
        load_states=partial(load_states, pool),
        load_replies=partial(load_replies, pool),
        clock=clock,
        publish=heard.append,
    )
    agenda = Agenda(
        runtime,
        submit=committer.submit,
        load_due=lambda before, after: load_due(pool, before, after, SCAN_PAGE),
        quarantine=partial(quarantine, pool),
    )
    runtime.send, runtime.scheduled = agenda.send, agenda.scheduled
    await agenda.start()
    try:
        yield Node(pool, runtime, committer, agenda, clock, heard)
    finally:
        await agenda.stop()
        await runtime.drain()
        await committer.stop()
