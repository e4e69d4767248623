"""E-mails match their golden files in three languages, and are readable on a phone in light and dark mode.

``python -m tests.contract.test_emails`` rewrites the golden files; review the diff.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from html import unescape
from itertools import product
from pathlib import Path

import msgspec
import pytest

from protocol.booking.events import BookingAbandoned
from protocol.code.terms import EMAIL_CHANGED
from protocol.delivery.channels import Channel
from protocol.delivery.terms import DIGEST
from protocol.notification.registry import NOTIFICATIONS
from server.delivery.channels.email.content import CODES, EmailContent
from server.delivery.channels.email.render import render
from server.links.page import Page
from server.links.page import render as render_page
from server.words.languages import LANGUAGES, language
from tests.support.browser import CHROMIUM, SCHEMES, look_at
from tests.support.email_samples import BRAND, CARLA, EMAIL_WRITER, NOW, context_of, sample_emails
from tests.support.sizes import some

GOLDEN = Path(__file__).parent / "golden" / "emails"
#: One e-mail of each layout has a golden HTML file, the others only text.
WITH_HTML = ("booking.confirmed", "digest.3", "code.email")
#: WCAG's level AA for text of any size.
CONTRAST_MIN = 4.5


@cache
def golden_files() -> Mapping[str, str]:
    """Name and content of every golden file."""
    return dict(_golden_files())


def _golden_files() -> Iterator[tuple[str, str]]:
    for code in LANGUAGES:
        for name, content in sample_emails(code):
            rendered = render(content, language(code), BRAND)
            yield f"{name}.{code}.txt", f"Subject: {content.subject}\n\n{rendered.text}"
            if name in WITH_HTML:
                yield f"{name}.{code}.html", rendered.html


def parts() -> Iterator[tuple[str, EmailContent, str, str]]:
    for code in LANGUAGES:
        for name, content in sample_emails(code):
            rendered = render(content, language(code), BRAND)
            yield f"{name}.{code}", content, rendered.html, rendered.text


@pytest.mark.parametrize("name", list(golden_files()))
def test_an_email_matches_its_golden_file(name: str) -> None:
    assert golden_files()[name] == (GOLDEN / name).read_text(encoding="utf-8")


def test_every_golden_file_is_tested() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == set(golden_files())


def test_everything_that_is_sent_by_email_has_a_sample() -> None:
    sampled = {name for name, _ in sample_emails("en")}

    sampled |= {name.rpartition(".")[0] for name in sampled}  # those for staff and owners, and both digests

    assert {one.name for one in NOTIFICATIONS if Channel.EMAIL in one.channels} <= sampled
    assert {*CODES, EMAIL_CHANGED, DIGEST} <= sampled


# Texts


@pytest.mark.parametrize(
    ("code", "one", "many"),
    [
        ("en", "1 piece of news for you", "1,234 pieces of news for you"),
        ("de", "1 Neuigkeit für Sie", "1.234 Neuigkeiten für Sie"),
        ("it", "1 novità per te", "1.234 novità per te"),
    ],
)
def test_numbers_take_the_form_of_their_language(code: str, one: str, many: str) -> None:
    words = language(code)

    assert (words.count("digest.subject", 1), words.count("digest.subject", 1_234)) == (one, many)


@pytest.mark.parametrize(
    ("code", "amount", "day"),
    [
        ("en", "€1,234.56", "Saturday 28 March 2026"),
        ("de", "1.234,56\xa0€", "Samstag, 28. März 2026"),
        ("it", "1.234,56\xa0€", "sabato 28 marzo 2026"),
    ],
)
def test_money_and_days_are_written_as_the_language_writes_them(code: str, amount: str, day: str) -> None:
    confirmed = dict(sample_emails(code))["booking.confirmed"]
    details = dict(confirmed.details)

    assert amount in details.values()
    assert any(value.startswith(day) for value in details.values())


# Parts


def test_both_parts_say_the_same() -> None:
    for name, content, html, text in parts():
        seen = " ".join(unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL)).split())
        plain = " ".join(text.split())
        texts = [content.title, content.hello, content.lead, content.why, content.code, content.hint, content.more]
        texts += [word for pair in content.details for word in pair]
        texts += [word for item in content.items for word in (item.title, item.body, item.at)]
        texts += [word for button in content.buttons for word in (button.label, button.hint)]
        for word in texts:
            assert " ".join(word.split()) in seen, (name, word)
            assert " ".join(word.split()) in plain, (name, word)
        for url in [
            *(button.url for button in content.buttons),
            *([content.unsubscribe_url] if content.unsubscribe_url else []),
        ]:
            assert f'href="{url}"' in html, name
            assert url in text, name


def test_names_are_escaped() -> None:
    for name, _, html, _ in parts():
        assert "<Flügel>" not in html, name
    assert any("&lt;Flügel&gt;" in html for _, _, html, _ in parts())


def test_an_email_loads_nothing_external() -> None:
    for name, _, html, _ in parts():
        assert not re.search(r"<(?:img|link|script|table|iframe)|url\(|@import", html), name
        assert set(re.findall(r'https?://[^/"\s]+', html)) <= {"https://guild.example"}, name


def test_styles_are_inlined_except_media_queries() -> None:
    for name, _, html, _ in parts():
        (left,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
        assert left.strip().startswith("@media (prefers-color-scheme: dark)"), name
        assert 'class="card" style="' in html, name


def test_an_email_with_a_code_contains_no_name() -> None:
    with_a_code = [part for part in parts() if part[1].layout == "code"]

    assert len(with_a_code) == len(CODES) * len(LANGUAGES)
    for name, content, html, text in with_a_code:
        assert "Carla" not in html + text, name
        assert content.unsubscribe_url is None


@pytest.mark.parametrize(
    ("name", "hello"),
    [
        ("Ada Lovelace", "Hello Ada Lovelace,"),
        ("J. R. R. Tolkien-O’Hara", "Hello J. R. R. Tolkien-O’Hara,"),
        ("Ada\nLovelace", "Hello Ada Lovelace,"),
        ("You have won: http://x.test/win", "Hello,"),
        ("claim it at prize.example now", "Hello,"),
        ("write to me@people.test", "Hello,"),
        ("", "Hello,"),
    ],
)
def test_a_name_with_a_link_is_not_used(name: str, hello: str) -> None:
    context = context_of("en", CARLA, BookingAbandoned())
    context = replace(context, reader=msgspec.structs.replace(context.reader, name=name))

    assert EMAIL_WRITER.notice(context, None, NOW).hello == hello


# Rendering


def pages(code: str) -> Iterator[tuple[str, str]]:
    """Every page that a link can open."""
    words = language(code)
    details = list(dict(sample_emails(code))["booking.confirmed"].details)
    for name in sorted(
        {key.rpartition(".")[0] for key in words.texts.emails if key.startswith("page.") and key.endswith(".title")}
    ):
        fields = {"business": BRAND, "kind": "Buchung bestätigt"}
        page = Page(
            status=200,
            title=words.say(f"{name}.title"),
            lead=words.say(f"{name}.lead", **fields),
            details=details if name.startswith(("page.cancel", "page.confirm")) else (),
            button=words.texts.emails.get(f"{name}.button", ""),
        )
        body = render_page(page, words, BRAND, {}).body
        assert isinstance(body, bytes)
        yield f"{name}.{code}", body.decode()


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
@pytest.mark.parametrize(("width", "scheme"), some([*product((375, 1280), SCHEMES)], (375, "dark"), (1280, "light")))
def test_emails_and_pages_fit_the_window_and_can_be_read(width: int, scheme: str, tmp_path: Path) -> None:
    shown = {name: html for name, _, html, _ in parts()} | dict(page for code in LANGUAGES for page in pages(code))

    found = look_at(shown, tmp_path, width=width, scheme=scheme)

    assert found.keys() == shown.keys()
    for name, looks in found.items():
        assert (looks["width"], looks["dark"]) == (width, scheme == "dark"), name
        assert looks["overflow"] <= 0, name
        assert looks["texts"] >= 3, name
        assert not looks["unknown"], name
        assert looks["lowest"]["ratio"] >= CONTRAST_MIN, (name, looks["lowest"])


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for path in GOLDEN.iterdir():
        path.unlink()
    for name, content in golden_files().items():
        (GOLDEN / name).write_text(content, encoding="utf-8")
