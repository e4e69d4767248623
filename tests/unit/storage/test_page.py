"""A cursor goes on where the page ended, and a made-up one is refused by name."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import Invalid
from protocol.instants import INSTANT_MIN
from storage.queries.page import CURSOR_CHARS_MAX, Cursor

CURSOR = Cursor(tuple[datetime, UUID])
AT = datetime(2026, 6, 10, 9, 0, 0, 123456, tzinfo=UTC)


@given(st.datetimes(INSTANT_MIN.replace(tzinfo=None), datetime(2199, 1, 1), timezones=st.just(UTC)), st.uuids())
def test_a_cursor_brings_its_key_back(at: datetime, row_id: UUID) -> None:
    assert CURSOR.read(CURSOR.write((at, row_id))) == (at, row_id)


def test_the_first_page_has_no_cursor() -> None:
    assert CURSOR.read(None) is None


@pytest.mark.parametrize("rows", [[], [1], [1, 2]])
def test_the_last_page_has_no_next_one(rows: list[int]) -> None:
    assert Cursor(tuple[int]).page(rows, 2, lambda row: (row,)) == (rows, None)


def test_a_full_page_goes_on_behind_its_last_row() -> None:
    cursor = Cursor(tuple[int])

    shown, following = cursor.page([1, 2, 3], 2, lambda row: (row,))

    assert shown == [1, 2]
    assert cursor.read(following) == (2,)


@pytest.mark.parametrize(
    "made_up",
    ["", "x", "äöü", "W10", "WzEsMl0", "bnVsbA", Cursor(tuple[str]).write(("a",)), "A" * (CURSOR_CHARS_MAX + 1)],
)
def test_a_made_up_cursor_is_refused_by_name(made_up: str) -> None:
    with pytest.raises(Invalid) as refused:
        CURSOR.read(made_up)

    assert list(refused.value.fields) == ["cursor"]


@pytest.mark.parametrize(
    ("cursor", "value"),
    [
        (Cursor(tuple[int]), 2**63),
        (Cursor(tuple[int]), -(2**63) - 1),
        (Cursor(tuple[str]), "a\0"),
        (Cursor(tuple[datetime]), datetime(2026, 6, 10)),
        (Cursor(tuple[datetime]), datetime.min.replace(tzinfo=UTC)),
    ],
    ids=["too big", "too small", "a null byte", "without a zone", "too early"],
)
def test_a_cursor_that_the_database_cannot_hold_is_refused(
    cursor: Cursor[tuple[int | str | datetime]], value: int | str | datetime
) -> None:
    written = cursor.write((value,))

    with pytest.raises(Invalid):
        cursor.read(written)
