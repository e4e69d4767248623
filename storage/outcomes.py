"""What can become of a decision that was to be committed."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from protocol.effects import UniqueKey
from protocol.errors import Fault, HoldSpent, InsufficientFunds, Rejected, SlotTaken

#: Statuses of commit_v1 that are not a constraint's name.
OK, DUPLICATE, STALE, GONE = "ok", "duplicate", "stale", "gone"
#: Refused for the sake of a decision that was refused in its turn: to be committed again. Never leaves ``commit.py``.
AGAIN = "again"

#: The refusal of a command whose claim failed, by the constraint that refused it.
REFUSALS: dict[str, type[Rejected]] = {
    "slots_no_overlap": SlotTaken,
    "balances_funded": InsufficientFunds,
    "holds_once": HoldSpent,
}
#: A unique key's constraint is its scope after this; its declaration names the refusal.
UNIQUE = "unique_"


def refusal_of(constraint: str) -> type[Rejected]:
    """The refusal that a failed claim means. Raises: AssertionError for a constraint without one: a bug."""
    refusal = REFUSALS.get(constraint)
    if constraint.startswith(UNIQUE) and (unique := UniqueKey.declared.get(constraint.removeprefix(UNIQUE))):
        refusal = unique.taken
    if refusal is None:
        raise AssertionError(f"no refusal is declared for {constraint}")
    return refusal


class Committed(Struct, gc=False):
    """What became of one decision."""

    #: ``ok``, ``duplicate``, ``stale``, ``gone`` or the name of the constraint that refused it.
    status: str
    #: One inbox number for each (event, user) pair, in the order of ``Decision.emitted``.
    seqs: Sequence[int] = ()
    fault: Fault | None = None


CommitCallback = Callable[[Committed], None]
