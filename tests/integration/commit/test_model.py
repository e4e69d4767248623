"""Whatever is committed in batches could have been committed one decision after another (rule G-3)."""

import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from protocol.code.terms import UNIQUE_PHONE
from protocol.effects import (
    CancelTimer,
    ClaimKey,
    Count,
    Decision,
    DropRow,
    Effect,
    FreeSlot,
    HoldStatus,
    MoveHold,
    OpenHold,
    PutRow,
    ReleaseKey,
    ReserveSlot,
    Send,
    SetTimer,
    Transfer,
)
from protocol.ids import AgendaId, BusinessId, Kind, Ref, UserId
from protocol.user.terms import UNIQUE_EMAIL
from storage.commit import Committer, connect_committer
from storage.database import Pool
from storage.outcomes import AGAIN, OK, STALE, Committed
from tests.support.commit_model import CommitModel, read_model
from tests.support.sample_decisions import NOW, ROWS_DDL, Poke, SampleRow, commit, make_decision, running, standing

ACTORS = [
    Ref(kind, UUID(int=nth)) for nth, kind in enumerate((Kind.BOOKING, Kind.BOOKING, Kind.USER, Kind.BUSINESS), 1)
]
USERS = [UserId(UUID(int=0x100 + nth)) for nth in range(3)]
UNIQUE = (UNIQUE_PHONE, UNIQUE_EMAIL)
WALLETS = ["system.bank/EUR", "wallet/a/EUR", "wallet/b/EUR", "wallet/c/EUR"]
HOLDS = [UUID(int=0x200 + nth) for nth in range(3)]
MOVES = [
    (HoldStatus.HELD, HoldStatus.FUNDED, 100),
    (HoldStatus.FUNDED, HoldStatus.FUNDED, -40),
    (HoldStatus.FUNDED, HoldStatus.PENDING_CLEARANCE, 0),
    (HoldStatus.PENDING_CLEARANCE, HoldStatus.POSTED, -100),
    (HoldStatus.FUNDED, HoldStatus.VOIDED, -60),
]
KINDS_OF_EFFECT = (
    *("reserve", "reserve", "free", "claim", "release", "open", "move", "move", "pay", "pay", "pay"),
    *("count", "count", "put", "drop", "timer", "cancel", "send", "poison"),
)
#: Rounds of submitting; each may hold decisions of activations that know nothing of each other.
WAVES_MAX = 3
EXAMPLES = int(os.environ.get("GUILDWIRE_EXAMPLES", "75"))
WAVE_MAX = 14
EFFECTS_MAX = 3

EMPTY_ALL = """
SET LOCAL session_replication_role = replica;
DELETE FROM actors; DELETE FROM journal; DELETE FROM command_log; DELETE FROM inbox; DELETE FROM inbox_counters;
DELETE FROM agenda; DELETE FROM slots; DELETE FROM unique_keys; DELETE FROM transfers; DELETE FROM balances;
DELETE FROM holds; DELETE FROM counters; DELETE FROM sample_rows;
"""


@dataclass(frozen=True)
class Wish:
    """What one command of the random run wants; made a decision when its turn comes."""

    actor: int
    #: Whether it builds on what its activation believes, or on a wrong version or stamp.
    basis: str
    audiences: tuple[tuple[int, ...], ...]
    effects: tuple[tuple[str, int, int, int], ...]
    #: The sender and the command id; ids collide now and then.
    principal: int
    key: int
    #: Fires the n-th row of the actor's agenda, if there is one.
    fires: int | None


WISHES = st.builds(
    Wish,
    actor=st.integers(0, len(ACTORS) - 1),
    basis=st.sampled_from(["good"] * 8 + ["version", "stamp", "none"]),
    audiences=st.lists(st.lists(st.integers(0, 2), max_size=2, unique=True).map(tuple), max_size=2).map(tuple),
    effects=st.lists(
        st.tuples(
            st.sampled_from(KINDS_OF_EFFECT),
            st.integers(0, 3),
            st.integers(0, 5),
            st.integers(0, 5),
        ).filter(lambda effect: effect[0] != "poison" or effect[1:] == (0, 0, 0)),
        max_size=EFFECTS_MAX,
    ).map(tuple),
    principal=st.integers(0, 2),
    key=st.integers(0, 60),
    fires=st.one_of(st.none(), st.none(), st.none(), st.integers(0, 5)),
)


@dataclass
class Client:
    """Makes decisions as the activations of one or more processes would."""

    model: CommitModel
    ids: Random = field(default_factory=lambda: Random(1))
    #: What each activation believes to be its last decision's version and stamp.
    believed: dict[Ref, tuple[int, int]] = field(default_factory=dict)
    opened: set[UUID] = field(default_factory=set)

    def decide(self, wish: Wish) -> Decision:
        to = ACTORS[wish.actor]
        version, stamp = self.believed.get(to) or self.model.actors.get(to, (0, 0))
        if wish.basis == "version":
            version += 1
        elif wish.basis == "stamp" and version:
            stamp += 1
        elif wish.basis == "none":
            version, stamp = self.model.actors.get(to, (0, 0))
        before = make_decision(to, audiences=())
        before.expected_version, before.expected_stamp = version, stamp
        agenda = sorted(agenda_id for agenda_id, (due_to, _) in self.model.agenda.items() if due_to == to)
        decision = make_decision(
            to,
            before,
            audiences=[[USERS[nth] for nth in audience] for audience in wish.audiences],
            effects=[self._effect(to, *effect) for effect in wish.effects],
            principal=USERS[wish.principal],
            key=f"key-{wish.key}",
            fired=AgendaId(agenda[wish.fires % len(agenda)]) if wish.fires is not None and agenda else None,
        )
        if wish.basis == "good":
            self.believed[to] = standing(decision)
        return decision

    def _effect(self, to: Ref, kind: str, a: int, b: int, c: int) -> Effect:  # noqa: PLR0912 (one branch a kind)
        new_id = UUID(int=self.ids.getrandbits(128))
        effect: Effect
        match kind:
            case "reserve":
                starts_at, ends_at = NOW + timedelta(minutes=30 * b), NOW + timedelta(minutes=30 * (b + 1 + c % 2))
                effect = ReserveSlot(new_id, USERS[a % 2], to, starts_at, ends_at)
            case "free":
                held = sorted(slot_id for slot_id, slot in self.model.slots.items() if slot.subject == to)
                effect = FreeSlot(held[b % len(held)] if held else new_id)
            case "claim":
                effect = ClaimKey(UNIQUE[a % 2], f"k{b % 2}", to.id)
            case "release":
                effect = ReleaseKey(UNIQUE[a % 2], f"k{b % 2}")
            case "open" if HOLDS[a % 3] not in self.opened:
                self.opened.add(HOLDS[a % 3])
                effect = OpenHold(HOLDS[a % 3], to, BusinessId(new_id), "booking", "EUR", 100)
            case "open" | "move":
                effect = MoveHold(HOLDS[a % 3], *MOVES[b % len(MOVES)])
            case "pay":
                debit, credit = WALLETS[a], WALLETS[(a + 1 + b % 3) % 4]
                effect = Transfer(new_id, debit, credit, 10 * (c + 1), "EUR", "sample")
            case "count":
                effect = Count(f"c{a % 2}", c + 1)
            case "put":
                effect = PutRow(SampleRow(owner_id=to.id, part=f"p{a % 2}", value=c))
            case "drop":
                effect = DropRow("sample_rows", {"owner_id": str(to.id), "part": f"p{a % 2}"})
            case "timer":
                effect = SetTimer(AgendaId(new_id), f"t{a % 2}", NOW, Poke(booking_id=to.id))
            case "cancel":
                effect = CancelTimer(f"t{a % 2}")
            case "send":
                effect = Send(AgendaId(new_id), ACTORS[b % 4], Poke(booking_id=to.id))
            case _:
                effect = Transfer(new_id, WALLETS[0], WALLETS[0], 1, "EUR", "no account may pay itself")
        return effect


class Watched(Committer):
    """A committer that remembers its calls, each of which is one transaction."""

    calls: list[tuple[list[Decision], list[Committed]]]

    async def _commit(self, decisions: list[Decision], arguments: Sequence[Any]) -> list[Committed]:
        outcomes = await super()._commit(decisions, arguments)
        self.calls.append((decisions, list(outcomes)))
        return outcomes


@pytest.fixture
async def committer(database_dsn: str, pool: Pool) -> AsyncIterator[Watched]:
    await pool.execute(ROWS_DDL)
    async with running(database_dsn, Watched(partial(connect_committer, database_dsn))) as committer:
        assert isinstance(committer, Watched)
        yield committer


#: Without Phase.explain, which would run a failing case hundreds of times more.
PHASES = (Phase.explicit, Phase.generate, Phase.shrink)


@pytest.mark.sized
@settings(max_examples=EXAMPLES, phases=PHASES, deadline=None, suppress_health_check=list(HealthCheck))
@given(waves=st.lists(st.lists(WISHES, min_size=1, max_size=WAVE_MAX), min_size=1, max_size=WAVES_MAX))
async def test_batches_equal_the_same_decisions_one_after_another(
    committer: Watched, pool: Pool, waves: list[list[Wish]]
) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(EMPTY_ALL)
    model = CommitModel()
    client = Client(model)
    for wave in waves:
        committer.calls = []
        client.believed.clear()
        decisions = [client.decide(wish) for wish in wave]
        outcomes = await commit(committer, *decisions)
        for batch, answers in committer.calls:
            follow(model, batch, answers)
        assert_final(decisions, outcomes, committer)
        assert_equal(await read_model(pool), model)


def follow(model: CommitModel, batch: list[Decision], answers: list[Committed]) -> None:
    """Check one transaction against the model and bring the model to its end."""
    answered = list(zip(batch, answers, strict=True))
    model.prepare([decision for decision, answer in answered if answer.status == OK])
    doubted: list[Decision] = []
    failed: set[Ref] = set()
    for decision, answer in answered:
        if answer.status == OK:
            assert model.apply(decision, prepared=True) == OK
            assert_seqs(model, decision, answer)
            continue
        builds_on_failed = answer.status == STALE and decision.to in failed
        if answer.status != AGAIN and not builds_on_failed and model.status(decision) != answer.status:
            doubted.append(decision)
        failed.add(decision.to)
    for decision in doubted:
        # Refused in any case, if not for the same reason: one beside it, refused too, may have stood in its way first.
        assert model.status(decision) != OK, decision


def assert_final(decisions: list[Decision], outcomes: list[Committed], committer: Watched) -> None:
    """The outcome of each decision is that of its last transaction; only a failed CHECK is a fault."""
    said = {
        id(decision): answer
        for batch, answers in committer.calls
        for decision, answer in zip(batch, answers, strict=True)
    }
    for decision, outcome in zip(decisions, outcomes, strict=True):
        if outcome.status == "fault":
            assert any(isinstance(effect, MoveHold) or is_poison(effect) for effect in decision.effects)
        else:
            assert outcome.status == said[id(decision)].status != AGAIN


def is_poison(effect: Effect) -> bool:
    return isinstance(effect, Transfer) and effect.debit == effect.credit


def assert_seqs(model: CommitModel, decision: Decision, outcome: Committed) -> None:
    """The inbox numbers that a decision got are where its events are."""
    version = decision.version - len(decision.emitted)
    pairs = [(user_id, version + nth) for nth, e in enumerate(decision.emitted, 1) for user_id in e.audience]
    assert len(pairs) == len(outcome.seqs)
    for (user_id, at), seq in zip(pairs, outcome.seqs, strict=True):
        assert model.inbox[user_id][seq - 1] == (decision.to, at)


def assert_equal(real: CommitModel, model: CommitModel) -> None:
    real.journal.sort()
    model.journal.sort()
    for table, expected in vars(model).items():
        assert vars(real)[table] == expected, table
