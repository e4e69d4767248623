"""What storage offers to the layers above, each registered where it stands: loaders of facts."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from msgspec import Struct

from storage.database import Pool
from storage.offers import OfferCache


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What loaders read from."""

    pool: Pool
    offers: OfferCache
    #: Messages to browsers may go to private addresses. Development only.
    private_endpoints: bool = False


#: Loads the facts of a whole round, one answer for each ask and in their order; an answer may be a refusal.
Loader = Callable[[Sources, Sequence[Any]], Awaitable[Sequence[Any]]]
L = TypeVar("L", bound=Loader)

#: Facts → what loads them.
LOADERS: dict[type[Struct], Loader] = {}


def loads(facts: type[Struct]) -> Callable[[L], L]:
    """Register the one loader of a facts struct."""

    def register(loader: L) -> L:
        assert facts not in LOADERS, f"{facts.__name__} has two loaders"
        LOADERS[facts] = loader
        return loader

    return register


def bound_loaders(sources: Sources) -> Mapping[type[Struct], Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]]:
    """The loaders with what they read from; the runtime asserts that none is missing."""
    return {facts: partial(loader, sources) for facts, loader in LOADERS.items()}
