"""Retry-After: seconds or a date, cut to a maximum."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from server.delivery.retry_after import WAIT_MAX_S, retry_after_s


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("9" * 400, WAIT_MAX_S),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ],
)
def test_seconds_are_parsed(header: str | None, wait_s: float | None) -> None:
    assert retry_after_s(header) == wait_s


def test_a_date_is_a_wait_until_then() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)

    wait_s = retry_after_s(date)

    assert wait_s is not None
    assert 590 < wait_s <= 600
