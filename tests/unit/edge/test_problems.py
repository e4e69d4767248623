"""Refusals in words: every code has a text, and no text breaks on a missing field."""

from typing import Any

import msgspec
import pytest

import server.app.bootstrap  # every error there is
from protocol.errors import (
    ERRORS,
    Forbidden,
    GuildwireError,
    Invalid,
    LimitReached,
    NotFound,
    Unauthenticated,
    revive,
)
from server.edge.problems import problem_response
from server.words.errors import error_text
from server.words.languages import ENGLISH

#: Ours; a test may have errors of its own.
PACKAGES = ("protocol", "storage", "actors", server.__name__)


def problem(error: GuildwireError, **more: Any) -> dict[str, Any]:
    response = problem_response(error, request_id="r1", language="en", **more)
    assert response.status == error.status
    assert isinstance(response.body, bytes)
    decoded: dict[str, Any] = msgspec.json.decode(response.body)
    return decoded


def test_a_problem_says_who_what_and_where() -> None:
    assert problem(NotFound(entity="booking")) == {
        "type": "/problems/not_found",
        "title": "Not found",
        "status": 404,
        "detail": "There is no such thing, or nothing that you may see.",
        "code": "not_found",
        "fields": {"entity": "booking"},
        "instance": "/requests/r1",
    }


def test_misfits_are_spelled_out() -> None:
    detail = problem(Invalid(starts_at="offset_missing", size="odd"))["detail"]

    assert detail == "“starts_at” lacks its offset from UTC; “size” does not fit (odd)."


def test_a_field_may_have_any_name_when_an_error_is_made_again() -> None:
    assert revive("invalid", {"self": "unknown_field"}).fields == {"self": "unknown_field"}


def test_the_wait_is_a_header_in_whole_seconds() -> None:
    response = problem_response(LimitReached(limit="x", retry_after_s=0.2), request_id="r", language="en")

    assert response.headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    ("reason", "challenge"),
    [
        ("missing_token", 'Bearer realm="guildwire"'),
        ("expired", 'Bearer realm="guildwire", error="invalid_token"'),
    ],
)
def test_a_missing_sign_in_is_challenged(reason: str, challenge: str) -> None:
    response = problem_response(Unauthenticated(reason=reason), request_id="r", language="en")

    assert response.headers["WWW-Authenticate"] == challenge


def test_fields_of_any_type_and_number_can_be_shown() -> None:
    error = Forbidden(**{f"f{n}": object() for n in range(500)})

    assert len(problem(error)["fields"]) == 64


@pytest.mark.parametrize("code", sorted(ENGLISH.texts.errors))
def test_every_code_has_a_text_even_without_its_fields(code: str) -> None:
    title, detail = error_text(code, {})

    assert title
    assert detail.endswith(".")
    assert "{" not in detail


def test_every_error_has_a_text_of_its_own() -> None:
    ours = {code for code, error in ERRORS.items() if error.__module__.partition(".")[0] in PACKAGES}

    assert set(ENGLISH.texts.errors) == ours
