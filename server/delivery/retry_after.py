"""Parses ``Retry-After`` headers of providers."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: A longer wait is cut to this.
WAIT_MAX_S = 24 * 3600.0


def retry_after_s(header: str | None) -> float | None:
    """Return the wait in seconds, from a number or a date; None if there is none or it is malformed."""
    if header is None:
        return None
    try:
        wait_s = float(header) if header.strip().isdigit() else _until(header)
    except (ValueError, OverflowError):
        return None
    return min(max(wait_s, 0.0), WAIT_MAX_S)


def _until(date: str) -> float:
    at = parsedate_to_datetime(date)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - datetime.now(UTC).timestamp()
