"""Tokens of links: they allow one action until they expire, and cannot be forged."""

import stat
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.ids import UserId
from server.edge.secret_file import UnusableKey
from server.links.tokens import TOKEN_CHARS_MAX, BrokenLink, Link, LinkAction, LinkExpired, Links, id_of, link_key

ADA = UserId(UUID("01890000-0000-7000-8000-00000000000a"))
BOOKING = "01890000-0000-7000-8000-00000000000b"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=3)
LINKS = Links(b"k" * 32, "https://guild.test")
CANCEL = Link(action=LinkAction.CANCEL, user_id=ADA, subject=BOOKING, expires_at=LATER)
UNSUBSCRIBE = Link(action=LinkAction.UNSUBSCRIBE, user_id=ADA, subject="booking.confirmed", expires_at=LATER)


@pytest.mark.parametrize("link", [CANCEL, UNSUBSCRIBE], ids=["cancel", "unsubscribe"])
def test_a_signed_link_is_read_back(link: Link) -> None:
    assert LINKS.read(LINKS.token_of(link), NOW) == link


def test_a_link_has_its_route_and_is_short_enough_for_an_email() -> None:
    assert LINKS.url_of(CANCEL).startswith("https://guild.test/links/")
    assert LINKS.url_of(UNSUBSCRIBE).startswith("https://guild.test/unsubscribe/")
    assert len(LINKS.token_of(CANCEL)) <= 80


def test_equal_links_have_one_token_and_one_command_id() -> None:
    assert LINKS.token_of(CANCEL) == LINKS.token_of(CANCEL)
    assert id_of(LINKS.read(LINKS.token_of(CANCEL), NOW)) == id_of(CANCEL)


@pytest.mark.parametrize(
    "other",
    [
        Link(action=LinkAction.CONFIRM, user_id=ADA, subject=BOOKING, expires_at=LATER),
        Link(action=LinkAction.CANCEL, user_id=UserId(UUID(int=1)), subject=BOOKING, expires_at=LATER),
        Link(action=LinkAction.CANCEL, user_id=ADA, subject=str(UUID(int=1)), expires_at=LATER),
        Link(action=LinkAction.CANCEL, user_id=ADA, subject=BOOKING, expires_at=LATER + timedelta(seconds=1)),
    ],
    ids=["act", "user", "booking", "expiry"],
)
def test_different_links_have_different_command_ids(other: Link) -> None:
    assert id_of(other) != id_of(CANCEL)


def test_a_link_ends_at_its_expiry() -> None:
    token = LINKS.token_of(CANCEL)

    assert LINKS.read(token, LATER - timedelta(microseconds=1)) == CANCEL
    with pytest.raises(LinkExpired):
        LINKS.read(token, LATER)


@given(at=st.integers(0, 10_000), to=st.characters(codec="utf-8"))
def test_no_character_of_a_token_can_be_another(at: int, to: str) -> None:
    token = LINKS.token_of(CANCEL)
    at %= len(token)
    changed = token[:at] + to + token[at + 1 :]

    if changed != token:
        with pytest.raises(BrokenLink):
            LINKS.read(changed, NOW)


@given(
    st.text(max_size=TOKEN_CHARS_MAX + 10) | st.binary(max_size=200).map(lambda raw: urlsafe_b64encode(raw).decode())
)
def test_nothing_else_is_a_token(text: str) -> None:
    with pytest.raises(BrokenLink):
        LINKS.read(text, NOW)


@pytest.mark.parametrize("spelling", [" {}", "{}\n", "{}=", "!{}", "{}AAAA"])
def test_a_token_has_one_spelling(spelling: str) -> None:
    with pytest.raises(BrokenLink):
        LINKS.read(spelling.format(LINKS.token_of(CANCEL)), NOW)


def test_another_key_makes_other_links() -> None:
    with pytest.raises(BrokenLink):
        Links(b"o" * 32, "").read(LINKS.token_of(CANCEL), NOW)


def test_the_key_is_created_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    first = link_key(tmp_path / "keys")

    assert link_key(tmp_path / "keys") == first
    (path,) = (tmp_path / "keys").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(first) >= 32


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "links.secret").write_bytes(b"short")

    with pytest.raises(UnusableKey, match=r"links\.secret: not a secret"):
        link_key(tmp_path)
