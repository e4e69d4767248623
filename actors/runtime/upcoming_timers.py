"""The agenda rows that are due soonest, in order, and never more than so many: what the clock knows of the table."""

from bisect import bisect_left, insort
from datetime import datetime

from protocol.ids import AgendaId, Ref
from storage.agenda import Due

#: A row's place: when it is due, and its id.
Place = tuple[datetime, AgendaId]
#: What a row replaces: the timer of its actor and name. A message replaces nothing.
_Key = tuple[Ref, str] | AgendaId


class UpcomingTimers:
    """The first rows of the agenda, as far as they were told.

    Args:
        rows_max: past it the last ones are left out; so are those behind them, until ``reopen``.
    """

    def __init__(self, rows_max: int) -> None:
        self._rows_max = rows_max
        self._places: list[Place] = []
        self._rows: dict[AgendaId, Due] = {}
        self._ids: dict[_Key, AgendaId] = {}
        #: From here on rows are missing; None: none is.
        self._missing_from: Place | None = None

    def __len__(self) -> int:
        return len(self._places)

    @property
    def left_out(self) -> bool:
        """Whether some were left out."""
        return self._missing_from is not None

    @property
    def first_at(self) -> datetime | None:
        """When the first is due."""
        return self._places[0][0] if self._places else None

    @property
    def last(self) -> Place | None:
        """Where it ends."""
        return self._places[-1] if self._places else None

    def hold(self, due: Due) -> None:
        """Take a row in, instead of the one that it replaces, unless it belongs to those that are left out."""
        place, key = (due.due_at, due.agenda_id), _key(due)
        known = self._ids.get(key)
        if known == due.agenda_id:
            return
        if known is not None:
            self._remove(known)
        if self._missing_from is not None and place >= self._missing_from:
            return
        insort(self._places, place)
        self._rows[due.agenda_id] = due
        self._ids[key] = due.agenda_id
        if len(self._places) > self._rows_max:
            self._missing_from = self._places[-1]
            self._remove(self._missing_from[1])

    def forget(self, to: Ref, name: str) -> None:
        """A timer is no more."""
        agenda_id = self._ids.get((to, name))
        if agenda_id is not None:
            self._remove(agenda_id)

    def take(self, until: datetime, rows_max: int) -> list[Due]:
        """Take out what is due by an instant, the first first, at most so many."""
        count = 0
        while count < min(rows_max, len(self._places)) and self._places[count][0] <= until:
            count += 1
        rows = [self._rows.pop(agenda_id) for _, agenda_id in self._places[:count]]
        del self._places[:count]
        for due in rows:
            del self._ids[_key(due)]
        return rows

    def reopen(self) -> None:
        """What was left out will be told again."""
        self._missing_from = None

    def close(self) -> None:
        """It was not told to the end after all: whatever is behind the last counts as left out."""
        if self._places:
            self._missing_from = self._places[-1]

    def clear(self) -> None:
        """Forget all of them."""
        self._places.clear()
        self._rows.clear()
        self._ids.clear()
        self._missing_from = None

    def _remove(self, agenda_id: AgendaId) -> None:
        due = self._rows.pop(agenda_id)
        del self._places[bisect_left(self._places, (due.due_at, agenda_id))]
        del self._ids[_key(due)]


def _key(due: Due) -> _Key:
    return due.agenda_id if due.name is None else (due.to, due.name)
