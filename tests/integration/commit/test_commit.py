"""The commit kernel on synthetic decisions: claims, versions, retries, unknown outcomes and poison (rules G-3, G-5)."""

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest

from protocol.code.terms import UNIQUE_PHONE
from protocol.effects import (
    CancelTimer,
    ClaimKey,
    Count,
    Decision,
    Effect,
    HoldStatus,
    MoveHold,
    OpenHold,
    PutRow,
    ReserveSlot,
    SetTimer,
    Transfer,
    UniqueKey,
)
from protocol.errors import Busy, Internal
from protocol.ids import AgendaId, BusinessId, Kind, Ref, UserId
from protocol.user.terms import UNIQUE_EMAIL
from storage.commit import QUEUE_MAX, Committer, connect_committer
from storage.database import Pool
from storage.outcomes import DUPLICATE, OK, STALE
from tests.support.commit_model import read_model
from tests.support.sample_decisions import (
    NOW,
    ROWS_DDL,
    Poke,
    SampleRow,
    booking,
    commit,
    make_decision,
    running,
    statuses,
)

BANK, ANNA, BEN = "system.bank/EUR", "wallet/anna/EUR", "wallet/ben/EUR"
STAFF = UserId(uuid4())


def pay(debit: str, credit: str, amount_minor: int) -> Transfer:
    return Transfer(uuid4(), debit, credit, amount_minor, "EUR", "sample")


def reserve(to: Ref, from_h: float, to_h: float, staff_id: UserId = STAFF) -> ReserveSlot:
    return ReserveSlot(uuid4(), staff_id, to, NOW + timedelta(hours=from_h), NOW + timedelta(hours=to_h))


def decide(*effects: Effect) -> Decision:
    """A new actor's first decision."""
    return make_decision(booking(), effects=effects)


def book(from_h: float, to_h: float, staff_id: UserId = STAFF) -> Decision:
    """A new booking of a staff member's time."""
    to = booking()
    return make_decision(to, effects=[reserve(to, from_h, to_h, staff_id)])


@pytest.fixture
async def committer(database_dsn: str, pool: Pool) -> AsyncIterator[Committer]:
    await pool.execute(ROWS_DDL)
    async with running(database_dsn) as committer:
        yield committer


# Money


async def test_a_wallet_is_never_overdrawn_on_the_way_even_if_the_batch_ends_well(committer: Committer) -> None:
    outcomes = await commit(committer, decide(pay(ANNA, BANK, 50)), decide(pay(BANK, ANNA, 50)))

    assert statuses(outcomes) == ["balances_funded", OK]


async def test_money_that_came_in_may_go_out_in_the_same_batch(committer: Committer, pool: Pool) -> None:
    outcomes = await commit(committer, decide(pay(BANK, ANNA, 50)), decide(pay(ANNA, BANK, 50)))

    assert statuses(outcomes) == [OK, OK]
    assert (await read_model(pool)).balances == {ANNA: 0}


async def test_what_a_refused_payment_would_have_taken_is_there_for_the_next(committer: Committer) -> None:
    await commit(committer, decide(pay(BANK, ANNA, 50)))

    outcomes = await commit(committer, decide(pay(ANNA, BANK, 30), pay(BEN, BANK, 1)), decide(pay(ANNA, BANK, 40)))

    assert statuses(outcomes) == ["balances_funded", OK]


async def test_many_overdrafts_in_one_batch_are_told_apart_at_once(committer: Committer, pool: Pool) -> None:
    await commit(committer, decide(pay(BANK, ANNA, 100)))

    outcomes = await commit(committer, *[decide(pay(ANNA, BANK, 1)) for _ in range(200)])

    assert statuses(outcomes) == [OK] * 100 + ["balances_funded"] * 100
    assert (await read_model(pool)).balances == {ANNA: 0}


# Slots, keys, holds


async def test_time_that_a_refused_decision_had_claimed_is_free_for_its_rival(committer: Committer) -> None:
    loser, rival = book(0, 1), book(0, 1)
    loser.effects.append(pay(BEN, BANK, 1))

    assert statuses(await commit(committer, loser, rival)) == ["balances_funded", OK]


async def test_two_that_want_each_others_time_do_not_both_lose(committer: Committer) -> None:
    first, second = book(0, 1), book(2, 3)
    first.effects.append(reserve(first.to, 2, 3))
    second.effects.append(reserve(second.to, 0, 1))

    assert sorted(statuses(await commit(committer, first, second))) == [OK, "slots_no_overlap"]


async def test_touching_slots_do_not_overlap(committer: Committer) -> None:
    assert statuses(await commit(committer, book(0, 1), book(1, 2), book(2, 3))) == [OK, OK, OK]


async def test_a_subjects_second_slot_may_overlap_its_first(committer: Committer, pool: Pool) -> None:
    first = book(0, 1)
    assert statuses(await commit(committer, first)) == [OK]

    moved = make_decision(first.to, first, effects=[reserve(first.to, 0.5, 1.5)])

    assert statuses(await commit(committer, moved)) == [OK]
    assert await pool.fetchval("SELECT count(*) FROM slots") == 2


async def test_another_subjects_overlapping_slot_is_refused_whatever_its_kind(committer: Committer) -> None:
    await commit(committer, book(0, 1))
    other = Ref(Kind.CONVERSATION, uuid4())

    outcomes = await commit(committer, make_decision(other, effects=[reserve(other, 0.5, 1.5)]))

    assert statuses(outcomes) == ["slots_no_overlap"]


async def test_counts_of_one_batch_add_up_and_those_of_a_refused_decision_do_not(
    committer: Committer, pool: Pool
) -> None:
    await commit(committer, decide(Count("sold/EUR", 5)))

    outcomes = await commit(
        committer,
        decide(Count("sold/EUR", 30), Count("sold/EUR", -10)),
        decide(Count("sold/EUR", 1_000), pay(BEN, BANK, 1)),
        decide(Count("sold/EUR", 50)),
    )

    assert statuses(outcomes) == [OK, "balances_funded", OK]
    assert (await read_model(pool)).counters == {"sold/EUR": 75}


async def test_each_refused_key_is_named_by_its_own_scope(committer: Committer) -> None:
    def claim(unique: UniqueKey) -> Decision:
        to = booking()
        return make_decision(to, effects=[ClaimKey(unique, "k", to.id)])

    await commit(committer, claim(UNIQUE_EMAIL), claim(UNIQUE_PHONE))

    outcomes = await commit(committer, claim(UNIQUE_PHONE), claim(UNIQUE_EMAIL))

    assert statuses(outcomes) == ["unique_phone", "unique_email"]


async def test_a_hold_that_two_decisions_of_a_batch_fund_is_funded_once(committer: Committer, pool: Pool) -> None:
    hold_id = uuid4()
    await commit(committer, decide(OpenHold(hold_id, booking(), BusinessId(uuid4()), "booking", "EUR", 100)))
    fund = MoveHold(hold_id, HoldStatus.HELD, HoldStatus.FUNDED, 100)

    assert statuses(await commit(committer, decide(fund), decide(fund))) == [OK, "holds_once"]
    assert (await read_model(pool)).holds == {hold_id: ("FUNDED", 100)}


async def test_a_hold_may_take_two_steps_in_one_decision(committer: Committer, pool: Pool) -> None:
    hold_id = uuid4()
    steps: tuple[Effect, ...] = (
        OpenHold(hold_id, booking(), BusinessId(uuid4()), "booking", "EUR", 100),
        MoveHold(hold_id, HoldStatus.HELD, HoldStatus.FUNDED, 100),
        MoveHold(hold_id, HoldStatus.FUNDED, HoldStatus.VOIDED, -100),
    )

    assert statuses(await commit(committer, decide(*steps))) == [OK]
    assert (await read_model(pool)).holds == {hold_id: ("VOIDED", 0)}


# Timers


async def test_the_last_word_on_a_timer_counts(committer: Committer, pool: Pool) -> None:
    to = booking()
    kept = SetTimer(AgendaId(uuid4()), "kept", NOW, Poke(booking_id=to.id))
    effects: list[Effect] = [
        SetTimer(AgendaId(uuid4()), "kept", NOW, Poke(booking_id=to.id)),
        SetTimer(AgendaId(uuid4()), "dropped", NOW, Poke(booking_id=to.id)),
        CancelTimer("dropped"),
        kept,
    ]

    assert statuses(await commit(committer, make_decision(to, effects=effects))) == [OK]
    assert (await read_model(pool)).agenda == {kept.agenda_id: (to, "kept")}


async def test_a_timer_that_two_decisions_consume_is_consumed_once(committer: Committer) -> None:
    to = booking()
    timer = SetTimer(AgendaId(uuid4()), "once", NOW, Poke(booking_id=to.id))
    await commit(committer, make_decision(to, effects=[timer]))

    firing = [make_decision(booking(), fired=timer.agenda_id) for _ in range(2)]

    assert statuses(await commit(committer, *firing)) == [OK, "gone"]


# Versions and stamps


async def test_a_decision_on_an_old_version_is_stale(committer: Committer) -> None:
    first = make_decision(booking())
    await commit(committer, first)
    await commit(committer, make_decision(first.to, first))

    assert statuses(await commit(committer, make_decision(first.to, first))) == [STALE]


async def test_the_same_version_of_another_activation_is_stale_by_its_stamp(committer: Committer) -> None:
    first = make_decision(booking())
    await commit(committer, first)
    theirs, ours = make_decision(first.to, first), make_decision(first.to, first)
    await commit(committer, theirs)
    assert theirs.version == ours.version

    assert statuses(await commit(committer, make_decision(first.to, ours))) == [STALE]


async def test_decisions_of_two_activations_in_one_batch_do_not_pass_as_one_chain(committer: Committer) -> None:
    first = make_decision(booking())
    await commit(committer, first)
    theirs, ours = make_decision(first.to, first), make_decision(first.to, first)

    outcomes = await commit(committer, theirs, ours, make_decision(first.to, ours), make_decision(first.to, theirs))

    assert statuses(outcomes) == [OK, STALE, STALE, OK]


async def test_a_refusal_rests_on_the_version_that_it_saw(committer: Committer) -> None:
    first = make_decision(booking())
    await commit(committer, first)
    await commit(committer, make_decision(first.to, first))

    assert statuses(await commit(committer, make_decision(first.to, first, audiences=()))) == [STALE]


async def test_a_refusal_for_want_of_the_actor_is_stale_once_there_is_one(committer: Committer) -> None:
    to = booking()
    await commit(committer, make_decision(to))

    assert statuses(await commit(committer, make_decision(to, audiences=()))) == [STALE]


async def test_what_builds_on_a_failed_decision_fails_with_it(committer: Committer, pool: Pool) -> None:
    to = booking()
    first = make_decision(to, effects=[pay(ANNA, BANK, 1)])
    second = make_decision(to, first)
    other = make_decision(booking())

    assert statuses(await commit(committer, first, second, other)) == ["balances_funded", STALE, OK]
    assert (await read_model(pool)).actors == {other.to: (1, other.stamp)}


async def test_an_answered_command_is_a_duplicate_and_changes_nothing(committer: Committer, pool: Pool) -> None:
    principal = UserId(uuid4())
    await commit(committer, make_decision(booking(), principal=principal, key="one"))
    before = await read_model(pool)

    outcomes = await commit(committer, make_decision(booking(), principal=principal, key="one"))

    assert statuses(outcomes) == [DUPLICATE]
    assert await read_model(pool) == before


async def test_another_users_command_id_is_another_command(committer: Committer) -> None:
    outcomes = await commit(committer, *[make_decision(booking(), key="one") for _ in range(2)])

    assert statuses(outcomes) == [OK, OK]


# Bounds and poison


async def test_a_full_queue_is_busy(database_dsn: str) -> None:
    committer = Committer(partial(connect_committer, database_dsn))
    for _ in range(QUEUE_MAX):
        committer.submit(make_decision(booking()), lambda committed: None)

    with pytest.raises(Busy):
        committer.submit(make_decision(booking()), lambda committed: None)


def break_a_check(to: Ref) -> Effect:
    return PutRow(SampleRow(owner_id=to.id, part="negative", value=-1))


def say_nul(to: Ref) -> Effect:
    return ClaimKey(UNIQUE_EMAIL, "nul\0", to.id)


def say_too_much(to: Ref) -> Effect:
    return pay(BANK, ANNA, 2**63)


def say_the_unsayable(to: Ref) -> Effect:
    return PutRow(SampleRow(owner_id=to.id, part="a set", value={1}))  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("poison", [break_a_check, say_nul, say_too_much, say_the_unsayable])
async def test_a_poisonous_decision_faults_alone(committer: Committer, pool: Pool, poison: object) -> None:
    to = booking()
    bad = make_decision(to, effects=[poison(to)])  # type: ignore[operator]  # one of the four above
    good = [make_decision(booking()) for _ in range(5)]

    outcomes = await commit(committer, *good[:3], bad, *good[3:])

    assert statuses(outcomes) == [OK, OK, OK, "fault", OK, OK]
    assert isinstance(outcomes[3].fault, Internal)
    assert set((await read_model(pool)).actors) == {decision.to for decision in good}


async def test_a_crashing_callback_does_not_affect_other_decisions(committer: Committer) -> None:
    def deaf(committed: object) -> None:
        raise RuntimeError("not listening")

    committer.submit(make_decision(booking()), deaf)

    assert statuses(await commit(committer, make_decision(booking()))) == [OK]


async def test_a_stop_commits_what_is_queued(database_dsn: str, pool: Pool) -> None:
    await pool.execute(ROWS_DDL)
    decisions = [make_decision(booking()) for _ in range(1000)]
    async with running(database_dsn) as committer:
        for decision in decisions:
            committer.submit(decision, lambda committed: None)

    assert set((await read_model(pool)).actors) == {decision.to for decision in decisions}
