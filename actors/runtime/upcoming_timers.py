"""An in-memory window on the earliest agenda rows, in order, bounded by ``rows_max``."""

from bisect import bisect_left, insort
from datetime import datetime

from protocol.ids import AgendaId, Ref
from storage.agenda import Due

#: The order of rows: when a row is due, and its id.
SortKey = tuple[datetime, AgendaId]
#: A timer's identity, by which a new one replaces the old one: its actor and name. A message has only its id.
_Key = tuple[Ref, str] | AgendaId


class UpcomingTimers:
    """The first rows of the agenda.

    Args:
        rows_max: past it the last rows are dropped, and later ones are not added until ``begin_load``.
    """

    def __init__(self, rows_max: int) -> None:
        self._rows_max = rows_max
        self._sort_keys: list[SortKey] = []
        self._rows: dict[AgendaId, Due] = {}
        self._ids: dict[_Key, AgendaId] = {}
        #: Rows from here on are not in the window; None: all rows are.
        self._truncated_at: SortKey | None = None

    def __len__(self) -> int:
        return len(self._sort_keys)

    @property
    def truncated(self) -> bool:
        """Whether rows were dropped or not added."""
        return self._truncated_at is not None

    @property
    def first_at(self) -> datetime | None:
        """When the first row is due; None: there is none."""
        return self._sort_keys[0][0] if self._sort_keys else None

    @property
    def last(self) -> SortKey | None:
        """The sort key of the last row; None: there is none."""
        return self._sort_keys[-1] if self._sort_keys else None

    def add(self, due: Due) -> None:
        """Add a row in place of the one that it replaces, unless it lies past the end of a truncated window."""
        place, key = (due.due_at, due.agenda_id), _key(due)
        known = self._ids.get(key)
        if known == due.agenda_id:
            return
        if known is not None:
            self._remove(known)
        if self._truncated_at is not None and place >= self._truncated_at:
            return
        insort(self._sort_keys, place)
        self._rows[due.agenda_id] = due
        self._ids[key] = due.agenda_id
        if len(self._sort_keys) > self._rows_max:
            self._truncated_at = self._sort_keys[-1]
            self._remove(self._truncated_at[1])

    def remove(self, to: Ref, name: str) -> None:
        """Remove a timer, if it is in the window."""
        agenda_id = self._ids.get((to, name))
        if agenda_id is not None:
            self._remove(agenda_id)

    def take(self, until: datetime, rows_max: int) -> list[Due]:
        """Remove and return the rows due by an instant, in order, at most ``rows_max``."""
        count = 0
        while count < min(rows_max, len(self._sort_keys)) and self._sort_keys[count][0] <= until:
            count += 1
        rows = [self._rows.pop(agenda_id) for _, agenda_id in self._sort_keys[:count]]
        del self._sort_keys[:count]
        for due in rows:
            del self._ids[_key(due)]
        return rows

    def begin_load(self) -> None:
        """Accept rows past the end again: the table is about to be read."""
        self._truncated_at = None

    def end_load_early(self) -> None:
        """The read ended early: rows after the last one count as missing."""
        if self._sort_keys:
            self._truncated_at = self._sort_keys[-1]

    def clear(self) -> None:
        """Remove all rows."""
        self._sort_keys.clear()
        self._rows.clear()
        self._ids.clear()
        self._truncated_at = None

    def _remove(self, agenda_id: AgendaId) -> None:
        due = self._rows.pop(agenda_id)
        del self._sort_keys[bisect_left(self._sort_keys, (due.due_at, agenda_id))]
        del self._ids[_key(due)]


def _key(due: Due) -> _Key:
    return due.agenda_id if due.name is None else (due.to, due.name)
