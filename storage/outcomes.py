"""What can become of a decision that was to be committed."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from protocol.code.terms import PhoneTaken
from protocol.errors import EmailTaken, Fault, HoldSpent, InsufficientFunds, Rejected, SlotTaken

#: Statuses of commit_v1 that are not a constraint's name.
OK, DUPLICATE, STALE, GONE = "ok", "duplicate", "stale", "gone"
#: Refused for the sake of a decision that was refused in its turn: to be committed again. Never leaves ``commit.py``.
AGAIN = "again"

#: What a refused claim means to whoever sent the command.
REFUSALS: dict[str, type[Rejected]] = {
    "slots_no_overlap": SlotTaken,
    "unique_email": EmailTaken,
    "unique_phone": PhoneTaken,
    "balances_funded": InsufficientFunds,
    "holds_once": HoldSpent,
}


class Committed(Struct, gc=False):
    """What became of one decision."""

    #: ``ok``, ``duplicate``, ``stale``, ``gone`` or the name of the constraint that refused it.
    status: str
    #: One inbox number for each (event, user) pair, in the order of ``Decision.emitted``.
    seqs: Sequence[int] = ()
    fault: Fault | None = None

    @property
    def refusal(self) -> type[Rejected] | None:
        """What a refused claim means to whoever sent the command."""
        return REFUSALS.get(self.status)


Done = Callable[[Committed], None]
