"""An incomplete noun is found at the start, by name."""

from typing import Any

import pytest

from protocol.booking.facts import BookingFacts
from protocol.booking.views import GetBooking
from protocol.ids import Kind
from protocol.registry import BY_NAME, Mode
from server.app.nouns import NounIncomplete, check_answers, import_all
from storage.registry import ANSWERS, LOADERS, answers, loads
from storage.rights import VISIBLE, visible


def test_every_noun_is_complete() -> None:
    import_all()


def test_facts_without_a_loader_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import_all()
    monkeypatch.setattr("server.app.nouns.LOADERS", LOADERS.keys() - {BookingFacts})

    with pytest.raises(NounIncomplete, match="nothing loads BookingFacts"):
        import_all()


def test_a_kind_without_a_visibility_rule_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import_all()
    monkeypatch.setattr("server.app.nouns.VISIBLE", VISIBLE.keys() - {Kind.CONVERSATION})

    with pytest.raises(NounIncomplete, match="no rule says who may see a conversation"):
        import_all()


def test_a_second_loader_and_a_second_rule_are_refused() -> None:
    import_all()

    with pytest.raises(AssertionError, match="BookingFacts has two loaders"):
        loads(BookingFacts)(LOADERS[BookingFacts])
    with pytest.raises(AssertionError, match="two rules about who may see a booking"):
        visible(Kind.BOOKING, "WHERE true")


def test_a_second_handler_of_a_query_is_refused() -> None:
    import_all()

    with pytest.raises(AssertionError, match="GetBooking has two handlers"):
        answers(GetBooking)(ANSWERS[GetBooking])


def test_queries_without_a_handler_are_named() -> None:
    declared: set[Any] = {one.type for one in BY_NAME.values() if one.mode is Mode.QUERY}

    with pytest.raises(NounIncomplete, match=r"^nothing answers booking\.get$"):
        check_answers(declared - {GetBooking})
