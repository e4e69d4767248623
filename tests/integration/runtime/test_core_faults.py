"""Bugs in the core's own parts: each costs its own command an answer of ``internal``, and nothing else stops."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from structlog.testing import capture_logs

from actors.actor import EFFECTS_MAX, EVENTS_MAX, handles
from actors.runtime import turns
from actors.runtime.call import Outcome
from actors.runtime.observer import Observer
from protocol.effects import Decision, UniqueKey
from protocol.errors import EmailTaken, Internal, Unavailable
from protocol.ids import Kind
from protocol.roles import Role
from protocol.user.commands import GrantRole
from protocol.user.terms import UNIQUE_EMAIL
from protocol.user.views import CurrentUser
from server.app import node as wiring
from storage import commit as committing
from storage.batch import BATCH_MAX
from storage.commit import Committer, connect_committer
from storage.database import Pool
from storage.outcomes import OK, STALE, Committed
from tests.support.faults import until, until_blocked
from tests.support.gadget_actor import Gadget, MakeGadget, MeltGadget, declared_gadgets
from tests.support.runtime import Node, make_runtime
from tests.support.sample_actors import (
    Add,
    AddKnown,
    Counted,
    Counter,
    CounterMoved,
    Gate,
    Known,
    Look,
    know_one,
    make_call,
    make_samples_runtime,
)
from tests.support.sample_decisions import HANG_S, booking, commit, declared, make_decision, running, statuses
from tests.support.server import Site, make_config, open_site, outcome_of


class Unruly(Counter):
    """A counter with the bugs that these tests are about."""

    @handles(Add)
    def add(self, cmd: Add) -> Counted:
        for _ in range(cmd.amount):
            self.emit(CounterMoved(by=self.principal.user_id, value=self.value + 1))
        return Counted(self.value)

    @handles(Look)
    def look(self, cmd: Look) -> Counted:
        self.claim_key(UNIQUE_EMAIL, "the only one")
        return self._move(0)

    @handles(AddKnown, facts=Known)
    def add_known(self, cmd: AddKnown, facts: Known) -> Counted:
        self.claim_key(UNIQUE_EMAIL, "the only one")
        return self._move(facts.amount)


class Wasteful(Counter):
    """Releases a given number of keys."""

    @handles(Add)
    def add(self, cmd: Add) -> Counted:
        for nth in range(cmd.amount):
            self.release_key(UNIQUE_EMAIL, str(nth))
        return self._move(0)


class Reruns(Observer):
    """Counts them, or crashes."""

    def __init__(self, *, crashes: bool = False) -> None:
        self.count = 0
        self._crashes = crashes

    def rerun(self, call: Any, status: str) -> None:
        self.count += 1
        if self._crashes:
            raise RuntimeError("a bug in a metric")


async def answered(answer: Awaitable[Outcome]) -> Outcome:
    async with asyncio.timeout(HANG_S):
        return await answer


async def drained(node: Node) -> None:
    async with asyncio.timeout(HANG_S):
        await node.runtime.drain()
    assert node.runtime.in_flight == 0


# Constraints


@pytest.mark.parametrize("claim", [Look, AddKnown], ids=["without facts", "with facts"])
async def test_a_constraint_without_a_refusal_is_internal_and_the_actor_goes_on(
    database_dsn: str, pool: Pool, monkeypatch: pytest.MonkeyPatch, claim: Callable[..., Any]
) -> None:
    monkeypatch.delitem(UniqueKey.declared, "email")
    first, second, reruns = uuid4(), uuid4(), Reruns()
    with declared():
        async with make_runtime(database_dsn, pool, {Kind.BOOKING: Unruly}, {Known: know_one}) as node:
            node.runtime.observer = reruns
            assert (await answered(node.send(claim(booking_id=first)))).error is None

            with capture_logs() as logs:
                refused = await answered(node.send(claim(booking_id=second), key="one"))

            assert isinstance(refused.error, Internal)
            (said,) = [line for line in logs if line["event"] == "turn.crashed"]
            assert (said["command"], refused.error.fields["incident"]) == ("one", "one")
            assert "unique_email" in said["error"]
            assert reruns.count == 0
            assert (await answered(node.send(Add(booking_id=second)))).error is None
            await drained(node)


async def test_a_declared_key_that_is_taken_is_refused_by_its_own_error(database_dsn: str, pool: Pool) -> None:
    with declared():
        async with make_runtime(database_dsn, pool, {Kind.BOOKING: Unruly}, {Known: know_one}) as node:
            await answered(node.send(Look(booking_id=uuid4())))

            assert isinstance((await answered(node.send(Look(booking_id=uuid4())))).error, EmailTaken)


def test_two_keys_of_one_scope_cannot_be_declared() -> None:
    with pytest.raises(AssertionError, match="email"):
        UniqueKey("email", taken=EmailTaken)

    assert UniqueKey.declared["email"] is UNIQUE_EMAIL


# Settling


async def test_an_exception_while_settling_is_internal_and_the_actor_goes_on() -> None:
    gate, counter = Gate(), uuid4()
    outcomes: list[Outcome] = []
    with declared():
        runtime = make_samples_runtime(None, gate)
        for _ in range(2):
            runtime.submit(make_call(Add(booking_id=counter), done=outcomes.append))
        await until_held(gate, 2)

        decision, done = gate.held.pop(0)
        done(Committed(OK, ()))  # without the inbox numbers of its events
        gate.answer(STALE)
        await until_held(gate, 1)
        gate.answer(OK)

    assert [type(outcome.error) for outcome in outcomes] == [Internal, type(None)]
    assert (decision.version, runtime.in_flight) == (1, 0)


async def until_held(gate: Gate, decisions: int) -> None:
    async def there() -> bool:
        return len(gate.held) >= decisions

    await until(there)


async def test_an_observer_of_reruns_that_crashes_costs_no_answer() -> None:
    gate = Gate()
    outcomes: list[Outcome] = []
    with declared():
        runtime = make_samples_runtime(None, gate, observer=Reruns(crashes=True))
        runtime.submit(make_call(Add(booking_id=uuid4()), done=outcomes.append))
        for status in (STALE, OK):
            await until_held(gate, 1)
            gate.answer(status)

    assert [outcome.error for outcome in outcomes] == [None]


async def test_a_committer_that_raises_what_is_no_fault_costs_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Gate):
        def submit(self, decision: Decision, done: Callable[[Committed], None]) -> None:
            if not decision.emitted:
                raise ZeroDivisionError("a bug")
            super().submit(decision, done)

    gate, counter = Broken(), uuid4()
    outcomes: list[Outcome] = []
    with declared():
        runtime = make_samples_runtime(None, gate)
        runtime.submit(make_call(Look(booking_id=counter), done=outcomes.append))
        runtime.submit(make_call(Add(booking_id=counter), done=outcomes.append))
        await until_held(gate, 1)
        gate.answer(OK)

    assert [type(outcome.error) for outcome in outcomes] == [Internal, type(None)]


async def test_a_command_without_a_handler_is_internal_and_the_actor_goes_on(database_dsn: str, pool: Pool) -> None:
    with declared_gadgets():
        async with make_runtime(database_dsn, pool, {Kind.BOOKING: Gadget}, {}) as node:
            made = (await node.send(MakeGadget(label="a"))).to.id

            unhandled = await answered(node.send(MeltGadget(booking_id=made)))  # type: ignore[arg-type]  # an id is an id

            assert isinstance(unhandled.error, Internal)
            assert (await answered(node.send(MakeGadget(label="b"), to=made))).error is None
            await drained(node)


async def test_facts_without_a_loader_are_internal_and_the_actor_goes_on(database_dsn: str, pool: Pool) -> None:
    counter = uuid4()
    with declared():
        async with make_runtime(database_dsn, pool, {Kind.BOOKING: Counter}, {}) as node:
            outcome = await answered(node.send(AddKnown(booking_id=counter)))

            assert isinstance(outcome.error, Internal)
            assert (await answered(node.send(Add(booking_id=counter)))).error is None
            await drained(node)


# Bounds of a turn


@pytest.mark.parametrize(("actor", "most"), [(Unruly, EVENTS_MAX), (Wasteful, EFFECTS_MAX)], ids=["events", "effects"])
async def test_a_turn_past_its_bound_is_internal_and_the_actor_goes_on(
    database_dsn: str, pool: Pool, actor: type[Counter], most: int
) -> None:
    counter = uuid4()
    with declared():
        async with make_runtime(database_dsn, pool, {Kind.BOOKING: actor}, {Known: know_one}) as node:
            too_many = await answered(node.send(Add(booking_id=counter, amount=most + 1)))
            as_many = await answered(node.send(Add(booking_id=counter, amount=most)))

    assert isinstance(too_many.error, Internal)
    assert as_many.error is None


async def test_a_drain_has_a_bound_and_says_what_it_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "DRAIN_TIMEOUT_S", 0.01)
    with declared():
        runtime = make_samples_runtime(None, Gate())
        runtime.submit(make_call(Add(booking_id=uuid4())))

        with capture_logs() as logs:
            async with asyncio.timeout(HANG_S):
                await runtime.drain()

    assert [(line["event"], line["commands"]) for line in logs] == [("runtime.drain_cut", 1)]


# The committer


async def test_an_observer_that_crashes_ends_no_commits(database_dsn: str) -> None:
    calls: list[int] = []

    def observe(size: int, seconds: float) -> None:
        calls.append(size)
        raise RuntimeError("a bug in a metric")

    async with running(database_dsn, Committer(partial(connect_committer, database_dsn), observe)) as committer:
        for _ in range(3):
            assert statuses(await commit(committer, make_decision(booking()))) == [OK]

    assert calls == [1, 1, 1]


def kill(name: str = "committer") -> None:
    """End a task as a bug would: it is cancelled, and not by its owner."""
    (task,) = [task for task in asyncio.all_tasks() if task.get_name() == name]
    task.cancel()


async def test_a_committer_that_dies_answers_all_that_it_holds_and_starts_again(database_dsn: str, pool: Pool) -> None:
    outcomes: list[Committed] = []
    async with running(database_dsn) as committer:
        first = make_decision(booking())
        await commit(committer, first)
        async with pool.acquire() as blocker, blocker.transaction():
            await blocker.execute("SELECT FROM actors FOR UPDATE")
            committer.submit(make_decision(first.to, first), outcomes.append)
            await until_blocked(pool)
            for _ in range(BATCH_MAX + 1):
                committer.submit(make_decision(booking()), outcomes.append)

            with capture_logs() as logs:
                kill()
                await until_answered(outcomes, BATCH_MAX + 2)

        async def works() -> bool:
            return statuses(await commit_or_refuse(committer)) == [OK]

        assert {type(outcome.fault) for outcome in outcomes} == {Unavailable}
        assert [line["task"] for line in logs if line["event"] == "task.died"] == ["committer"]
        await until(works)


async def until_answered(outcomes: list[Committed], count: int) -> None:
    async def all_of_them() -> bool:
        return len(outcomes) == count

    await until(all_of_them)


async def commit_or_refuse(committer: Committer) -> list[Committed]:
    try:
        return await commit(committer, make_decision(booking()))
    except Unavailable:
        return []


async def test_a_server_whose_committer_is_dead_is_not_ready_and_names_it(
    database_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reachable = True

    async def connect(dsn: str) -> "asyncpg.Connection[asyncpg.Record]":
        if not reachable:
            raise OSError("no route")
        return await connect_committer(dsn)

    monkeypatch.setattr(wiring, "connect_committer", connect)
    async with open_site(database_dsn, make_config(tmp_path)) as site:
        ada = await site.person("Ada")
        grant = GrantRole(user_id=ada.id, role=Role.ADMIN)

        async def ready() -> bool:
            return (await site.request("GET", "/ready")).status == 200

        async def not_ready() -> bool:
            return not await ready()

        assert await ready()
        reachable = False
        kill("committer 1")
        await until(not_ready)

        said = (await site.request("GET", "/ready")).json
        assert (said["status"], said["checks"]["tasks"]) == ("not_ready", "dead: committer 1")
        assert isinstance(await outcome_of(site.system(grant)), Unavailable)
        assert (await ada.call(CurrentUser())).id == ada.id  # reads go on

        reachable = True
        await until(ready)
        await site.system(grant)


#: Those that every server has; the agenda has further ones for its jobs.
LOOPS = {
    "committer 1",
    "agenda scan",
    "agenda sweep",
    "agenda passivate",
    "live housekeeping",
    "auth watch",
    "outbox relay",
    "delivery worker email",
    "delivery worker push",
    "delivery worker sms",
    "refunds",
}


async def test_every_loop_of_a_server_that_dies_is_logged_and_starts_again(server: Site) -> None:
    with capture_logs() as logs:

        def said(event: str) -> set[str]:
            return {line["task"] for line in logs if line["event"] == event}

        async def restarted() -> bool:
            return said("task.restarted") >= LOOPS

        for name in LOOPS:
            kill(name)
        await until(restarted)

    assert said("task.died") == LOOPS
    assert server.node.dead() == []
    await server.person("Ada")


async def test_a_committer_that_was_stopped_refuses(database_dsn: str) -> None:
    async with running(database_dsn) as committer:
        await committer.stop()

        with pytest.raises(Unavailable):
            committer.submit(make_decision(booking()), lambda committed: None)


async def test_a_stop_has_a_bound_and_answers_what_it_cuts(
    database_dsn: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committing, "STOP_TIMEOUT_S", 0.05)
    outcomes: list[Committed] = []
    async with running(database_dsn) as committer:
        first = make_decision(booking())
        await commit(committer, first)
        async with pool.acquire() as blocker, blocker.transaction():
            await blocker.execute("SELECT FROM actors FOR UPDATE")
            committer.submit(make_decision(first.to, first), outcomes.append)
            await until_blocked(pool)
            committer.submit(make_decision(booking()), outcomes.append)

            with capture_logs() as logs:
                async with asyncio.timeout(HANG_S):
                    await committer.stop()

    assert [type(outcome.fault) for outcome in outcomes] == [Unavailable, Unavailable]
    assert [line["decisions"] for line in logs if line["event"] == "commit.stop_cut"] == [2]
