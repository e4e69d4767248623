"""Each query has one answer and each facts struct one loader; what is missing or given twice is named."""

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import Struct

import server.app.bootstrap  # noqa: F401  # every answer has registered by now
from actors.registry import ACTORS
from protocol.booking.views import GetBooking
from protocol.ids import Kind
from protocol.registry import BY_NAME, Mode
from storage.registry import ANSWERS, answers, check_answers, check_loaders, loads


class Weather(Struct, frozen=True):
    """Facts that no actor asks for."""


class Tide(Struct, frozen=True):
    """The same."""


async def load_nothing(pool: Any, asks: Sequence[Any]) -> Sequence[Any]:
    return [None for _ in asks]


def test_a_second_answer_to_a_query_is_refused() -> None:
    with pytest.raises(AssertionError, match="GetBooking is answered twice"):

        @answers(GetBooking)
        async def answer(pool: Any, query: Any, principal: Any) -> Any:
            return None

    assert ANSWERS[GetBooking].__name__ == "get_booking"


def test_a_second_loader_of_facts_is_refused() -> None:
    loads(Tide)(load_nothing)

    with pytest.raises(AssertionError, match="Tide is loaded twice"):
        loads(Tide)(load_nothing)


def test_queries_without_an_answer_are_named() -> None:
    declared = [declaration.type for declaration in BY_NAME.values() if declaration.mode is Mode.QUERY]
    answered = {query for query in declared if query is not GetBooking}

    with pytest.raises(AssertionError, match=r"^nothing answers booking\.get$"):
        check_answers(answered)  # type: ignore[arg-type]  # each is a query by its mode


def test_facts_without_a_loader_are_named_once() -> None:
    with pytest.raises(AssertionError, match=r"^nothing loads Weather$"):
        check_loaders([Weather, Tide, Weather], {Tide})


def test_every_kind_has_the_actor_of_its_folder() -> None:
    assert {kind: actor.kind for kind, actor in ACTORS.items()} == {kind: kind for kind in Kind}
