"""Keyset pagination: a cursor is the sort key of the last row shown, opaque to clients.

A page is read with one row more than its limit, which shows whether there is a next page.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

from protocol.errors import Invalid
from protocol.instants import to_utc

#: The end of the inbox of the reader $1, as ``epoch:seq``, in the statement's own snapshot.
AS_OF = "inbox_epoch() || ':' || coalesce((SELECT seq FROM inbox_counters WHERE user_id = $1), 0) AS as_of"
#: Longer cursors are invalid.
CURSOR_CHARS_MAX = 512

K = TypeVar("K", bound=tuple[Any, ...])
R = TypeVar("R")


class Cursor(Generic[K]):
    """Writes and reads the cursors of one list order.

    Args:
        key: the type of the sort key, a tuple such as ``tuple[datetime, UUID]``.
    """

    def __init__(self, key: type[K]) -> None:
        self._decode: Callable[[bytes], K] = msgspec.json.Decoder(key).decode

    def read(self, cursor: str | None) -> K | None:
        """The sort key after which to continue; None for the first page. Raises: Invalid."""
        if cursor is None:
            return None
        if len(cursor) > CURSOR_CHARS_MAX:
            raise Invalid(cursor="too_long")
        try:
            key = self._decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
            _require_storable(key)
        except (ValueError, OverflowError, msgspec.MsgspecError):
            raise Invalid(cursor="bad_format") from None
        return key

    def write(self, key: K) -> str:
        """The cursor that continues after this sort key."""
        return urlsafe_b64encode(msgspec.json.encode(key)).rstrip(b"=").decode()

    def page(self, rows: Sequence[R], limit: int, key_of: Callable[[R], K]) -> tuple[Sequence[R], str | None]:
        """Cut ``limit + 1`` rows to a page, and return it with the cursor of the next one; None if it is the last."""
        if len(rows) <= limit:
            return rows, None
        return rows[:limit], self.write(key_of(rows[limit - 1]))


def _require_storable(key: tuple[Any, ...]) -> None:
    """Raises: ValueError, for values that the database cannot compare."""
    for part in key:
        if isinstance(part, datetime):
            to_utc(part)
        elif isinstance(part, int):
            part.to_bytes(8, "big", signed=True)
        elif isinstance(part, str) and "\0" in part:
            raise ValueError("NUL")
