"""Which decisions may leave together."""

import pytest

from protocol.effects import Decision, PutRow, ReleaseKey
from protocol.user.terms import UNIQUE_EMAIL
from storage.batch import BATCH_MAX, Batch
from tests.support.sample_decisions import SampleRow, booking, make_decision


def taken(batch: Batch, *decisions: Decision) -> list[bool]:
    return [batch.take(decision, lambda outcome: None) for decision in decisions]


def test_what_builds_on_the_decision_before_it_goes_along() -> None:
    first = make_decision(booking())
    refused = make_decision(first.to, first, audiences=())
    after_it = make_decision(first.to, first)

    assert taken(Batch(), first, refused, after_it) == [True, True, True]


def test_claims_wait_behind_another_decision_of_their_actor_and_all_behind_them_too() -> None:
    first = make_decision(booking())
    claiming = make_decision(first.to, first, effects=[ReleaseKey(UNIQUE_EMAIL, "ada@guild.test")])
    behind = make_decision(first.to, claiming)
    other = make_decision(booking(), effects=[ReleaseKey(UNIQUE_EMAIL, "bob@guild.test")])

    assert taken(Batch(), first, claiming, behind, other) == [True, False, False, True]


def test_two_decisions_on_the_same_version_do_not_go_together() -> None:
    first = make_decision(booking())
    rival = make_decision(first.to)

    assert taken(Batch(), first, rival) == [True, False]


def test_a_full_batch_takes_no_more() -> None:
    batch = Batch()
    taken(batch, *[make_decision(booking()) for _ in range(BATCH_MAX)])

    assert batch.full
    assert taken(batch, make_decision(booking())) == [False]


def test_what_cannot_be_encoded_is_told_when_the_batch_is_to_leave() -> None:
    to = booking()
    odd = PutRow(SampleRow(owner_id=to.id, part="odd", value=object()))  # type: ignore[arg-type]  # wrong on purpose
    batch, fine = Batch(), make_decision(booking())

    assert taken(batch, fine, make_decision(to, effects=[odd])) == [True, True]
    with pytest.raises(TypeError):
        batch.arguments()
    assert Batch.of([fine]).arguments()
