"""The registry of query handlers and loaders; each function registers itself where it is defined.

@answers(GetBooking)
async def get_booking(pool: Pool, query: GetBooking, principal: Principal) -> BookingDetail: ...

@loads(BookingFacts)
async def load_booking_facts(sources: Sources, asks: Sequence[BookingAsk]) -> Sequence[BookingFacts]: ...
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from msgspec import Struct

from protocol.registry import Query
from storage.database import Pool
from storage.offers import OfferCache


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The sources that loaders read from."""

    pool: Pool
    offers: OfferCache
    #: Whether push endpoints may have private addresses. Development only.
    private_endpoints: bool = False
    #: How many unpaid holds a customer may have; 0: they are not bounded.
    unpaid_holds_max: int = 0


#: ``async (pool, query, principal) -> view``; the principal of a public query may be None.
QueryHandler = Callable[[Any, Any, Any], Awaitable[Any]]
#: Loads the facts of a batch, one result for each ask, in their order; a result may be a refusal. An ask is an id or a
#: protocol struct that the actor computes from the command and its state.
Loader = Callable[[Sources, Sequence[Any]], Awaitable[Sequence[Any]]]
A = TypeVar("A", bound=QueryHandler)
L = TypeVar("L", bound=Loader)

#: Query → its handler, and facts → their loader; complete once every noun is imported.
ANSWERS: dict[type[Query], QueryHandler] = {}
LOADERS: dict[type[Struct], Loader] = {}


def answers(query: type[Query]) -> Callable[[A], A]:
    """Register the one handler of a query."""

    def register(function: A) -> A:
        assert query not in ANSWERS, f"{query.__name__} has two handlers"
        ANSWERS[query] = function
        return function

    return register


def loads(facts: type[Struct]) -> Callable[[L], L]:
    """Register the one loader of a facts struct."""

    def register(loader: L) -> L:
        assert facts not in LOADERS, f"{facts.__name__} has two loaders"
        LOADERS[facts] = loader
        return loader

    return register


def bound_loaders(sources: Sources) -> Mapping[type[Struct], Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]]:
    """The loaders bound to their sources; start-up asserts that none is missing."""
    return {facts: partial(loader, sources) for facts, loader in LOADERS.items()}
