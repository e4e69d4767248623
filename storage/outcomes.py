"""The outcomes of committing a decision."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from protocol.effects import UniqueKey
from protocol.errors import Fault, HoldSpent, InsufficientFunds, Rejected, SlotTaken

#: Statuses of commit_v1 that are not a constraint's name.
OK, DUPLICATE, STALE, GONE = "ok", "duplicate", "stale", "gone"
#: Failed because of another decision that was refused itself: to be committed again. Never leaves ``commit.py``.
AGAIN = "again"

#: Constraint of a failed claim → the refusal of its command.
REFUSALS: dict[str, type[Rejected]] = {
    "slots_no_overlap": SlotTaken,
    "balances_funded": InsufficientFunds,
    "holds_once": HoldSpent,
}
#: The constraint of a unique key is this prefix and its scope; its declaration names the refusal.
UNIQUE = "unique_"


def refusal_of(constraint: str) -> type[Rejected]:
    """The refusal for a failed claim. Raises: AssertionError, for a constraint without a refusal, which is a bug."""
    refusal = REFUSALS.get(constraint)
    if constraint.startswith(UNIQUE) and (unique := UniqueKey.declared.get(constraint.removeprefix(UNIQUE))):
        refusal = unique.taken
    if refusal is None:
        raise AssertionError(f"no refusal is declared for {constraint}")
    return refusal


class Committed(Struct, gc=False):
    """The outcome of one decision."""

    #: ``ok``, ``duplicate``, ``stale``, ``gone`` or the name of the constraint that refused it.
    status: str
    #: One inbox ``seq`` for each (event, user) pair, in the order of ``Decision.emitted``.
    seqs: Sequence[int] = ()
    fault: Fault | None = None


CommitCallback = Callable[[Committed], None]
