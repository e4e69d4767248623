"""A batch: decisions that are committed together, with their callbacks; each is encoded when it is added."""

from collections.abc import Iterable

from protocol.effects import Decision
from protocol.ids import Ref
from storage.columns import Columns
from storage.outcomes import CommitCallback

BATCH_MAX = 256


class Batch:
    """Decisions in order; only the first one of each actor may have claims.

    They are encoded while the database commits the batch before, so that this one can be sent as soon as that is done.
    """

    __slots__ = ("_columns", "_error", "_held_back", "_last", "decisions", "dones")

    def __init__(self) -> None:
        self.decisions: list[Decision] = []
        self.dones: list[CommitCallback] = []
        self._columns = Columns()
        #: The error raised while encoding a decision; raised again by ``arguments``.
        self._error: Exception | None = None
        self._last: dict[Ref, Decision] = {}
        self._held_back: set[Ref] = set()

    @classmethod
    def of(cls, decisions: Iterable[Decision]) -> "Batch":
        """Make a batch from decisions of another one, without callbacks."""
        batch = cls()
        for decision in decisions:
            batch._add(decision)
        return batch

    def __len__(self) -> int:
        return len(self.decisions)

    @property
    def full(self) -> bool:
        """Whether it has ``BATCH_MAX`` decisions."""
        return len(self.decisions) >= BATCH_MAX

    def take(self, decision: Decision, done: CommitCallback) -> bool:
        """Add a decision; returns False if it, and all later ones of its actor, have to wait for a later batch.

        A decision that does not build on its actor's previous one waits: it comes first in a later batch, where its
        version is checked against the database.
        """
        if len(self.decisions) >= BATCH_MAX:
            return False
        before = self._last.setdefault(decision.to, decision)
        if before is not decision:
            if decision.to in self._held_back or decision.claims or not decision.builds_on(before):
                self._held_back.add(decision.to)
                return False
            self._last[decision.to] = decision
        self._add(decision)
        self.dones.append(done)
        return True

    def _add(self, decision: Decision) -> None:
        self.decisions.append(decision)
        if self._error is None:
            try:
                self._columns.add(decision)
            except Exception as error:
                self._error = error

    def arguments(self) -> list[str]:
        """The arguments of the call that commits the batch. Raises: the error of a decision that cannot be encoded."""
        if self._error is not None:
            raise self._error
        return self._columns.parameters()
