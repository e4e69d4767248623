"""Which function answers each query, and which loads each facts struct. Both register where they stand.

@answers(GetBooking)
async def get_booking(pool: Pool, query: GetBooking, principal: Principal) -> BookingDetail: ...

@loads(BookingFacts)
async def load_booking_facts(pool: Pool, asks: Sequence[BookingQuestion]) -> Sequence[BookingFacts]: ...
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from importlib import import_module
from pkgutil import walk_packages
from typing import Any, TypeVar

from msgspec import Struct

from protocol.registry import BY_NAME, Mode, Query

#: ``async (pool, query, principal) -> view``; the principal of a public query may be None.
Answer = Callable[[Any, Any, Any], Awaitable[Any]]
#: ``async (pool or ports, asks) -> facts``, one for each ask and in their order. An ask is a struct of the protocol
#: that the actor computes from the command and its state.
Loader = Callable[[Any, Sequence[Any]], Awaitable[Sequence[Any]]]

_answers: dict[type[Query], Answer] = {}
_loaders: dict[type[Struct], Loader] = {}
#: Query → what answers it, and facts struct → what loads it; complete once ``import_all`` has imported their packages.
ANSWERS: Mapping[type[Query], Answer] = _answers
LOADERS: Mapping[type[Struct], Loader] = _loaders

A = TypeVar("A", bound=Answer)
L = TypeVar("L", bound=Loader)


def answers(query: type[Query]) -> Callable[[A], A]:
    """Register the function that answers a query. AssertionError if another one does."""

    def register(function: A) -> A:
        assert query not in _answers, f"{query.__name__} is answered twice"
        _answers[query] = function
        return function

    return register


def loads(facts: type[Struct]) -> Callable[[L], L]:
    """Register the function that loads a facts struct. AssertionError if another one does."""

    def register(function: L) -> L:
        assert facts not in _loaders, f"{facts.__name__} is loaded twice"
        _loaders[facts] = function
        return function

    return register


def import_all(*packages: str) -> None:
    """Import every module of these packages, so that what they declare has registered."""
    for package in packages:
        for module in walk_packages(import_module(package).__path__, f"{package}."):
            import_module(module.name)


def check_answers(answered: Collection[type[Query]]) -> None:
    """Check that every declared query has an answer. AssertionError, naming those that have none."""
    declared = [declaration for declaration in BY_NAME.values() if declaration.mode is Mode.QUERY]
    missing = sorted(declaration.name for declaration in declared if declaration.type not in answered)
    assert not missing, f"nothing answers {', '.join(missing)}"


def check_loaders(asked: Iterable[type[Struct]], loaded: Collection[type[Struct]]) -> None:
    """Check that every facts struct that handlers ask for has a loader. AssertionError, naming those that have none."""
    missing = sorted({facts.__name__ for facts in asked if facts not in loaded})
    assert not missing, f"nothing loads {', '.join(missing)}"
