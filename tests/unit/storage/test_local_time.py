"""Postgres is asked for no local time: it has zone rules of its own, of another version (decision 0026)."""

import re

from tests.support.documents import ROOT

#: What converts an instant to a local time or day, or depends on the session's zone.
LOCAL_TIME = re.compile(
    r"\bAT\s+TIME\s+ZONE\b|\btimezone\s*\(|\bdate_trunc\s*\(|\bcurrent_date\b|\blocaltime(stamp)?\b|::\s*date\b(?!\[)|\bto_char\s*\(",
    re.IGNORECASE,
)


def test_no_statement_computes_a_local_time() -> None:
    sources = [path for package in ("storage", "server") for path in (ROOT / package).rglob("*.*")]
    read = {path: path.read_text("utf-8") for path in sources if path.suffix in {".py", ".sql"}}

    assert len(read) > 100
    assert [
        f"{path.relative_to(ROOT)}: {found[0]}" for path, text in read.items() for found in LOCAL_TIME.finditer(text)
    ] == []


def test_the_search_finds_each_kind() -> None:
    found = [
        "starts_at AT TIME ZONE 'Europe/Berlin'",
        "timezone(zone, starts_at)",
        "date_trunc('day', starts_at)",
        "CURRENT_DATE",
        "localtimestamp",
        "starts_at::date",
        "to_char(starts_at, 'HH24')",
    ]

    assert all(LOCAL_TIME.search(text) for text in found)
