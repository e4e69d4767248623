"""Letters are as the golden files say, in three languages, and can be read on a telephone, by day and by night.

``python -m tests.contract.test_emails`` writes the golden files anew; what changed is then to be read in the diff.
"""

import re
import string
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
from server.delivery.channels.email.content import CODES, Content
from server.delivery.channels.email.render import render
from server.links.page import Page
from server.links.page import render as render_page
from server.words import LANGUAGES
from server.words.emails import EMAIL_WORDS, email_words
from tests.support.browser import CHROMIUM, SCHEMES, look_at
from tests.support.letter_samples import BRAND, CARLA, NOW, WRITER, brief_of, letters
from tests.support.sizes import some

GOLDEN = Path(__file__).parent / "golden" / "emails"
#: One letter of each layout is kept with its looks, the others with their words.
WITH_LOOKS = ("booking.confirmed", "digest.3", "code.email")
#: WCAG's level AA for text of any size.
CONTRAST_MIN = 4.5


@cache
def golden_files() -> Mapping[str, str]:
    """Name and content of every golden file."""
    return dict(_golden_files())


def _golden_files() -> Iterator[tuple[str, str]]:
    for code in EMAIL_WORDS:
        for name, content in letters(code):
            looks = render(content, email_words(code), BRAND)
            yield f"{name}.{code}.txt", f"Subject: {content.subject}\n\n{looks.text}"
            if name in WITH_LOOKS:
                yield f"{name}.{code}.html", looks.html


def parts() -> Iterator[tuple[str, Content, str, str]]:
    for code in EMAIL_WORDS:
        for name, content in letters(code):
            looks = render(content, email_words(code), BRAND)
            yield f"{name}.{code}", content, looks.html, looks.text


@pytest.mark.parametrize("name", list(golden_files()))
def test_a_letter_is_as_its_golden_file_says(name: str) -> None:
    assert golden_files()[name] == (GOLDEN / name).read_text(encoding="utf-8")


def test_every_golden_file_is_proved() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == set(golden_files())


def test_there_is_a_sample_of_everything_that_goes_by_letter() -> None:
    sampled = {name for name, _ in letters("en")}

    sampled |= {name.rpartition(".")[0] for name in sampled}  # those for staff and owners, and both digests

    assert {told.name for told in NOTIFICATIONS if Channel.EMAIL in told.channels} <= sampled
    assert {*CODES, EMAIL_CHANGED, DIGEST} <= sampled


# Words


def test_no_language_lacks_a_word_or_a_field_of_it() -> None:
    for words in EMAIL_WORDS.values():
        assert words.texts.keys() == EMAIL_WORDS["en"].texts.keys(), words.code
        assert words.counted.keys() == EMAIL_WORDS["en"].counted.keys(), words.code
        for name, text in words.texts.items():
            assert fields(text) == fields(EMAIL_WORDS["en"].texts[name]), (words.code, name)
    assert EMAIL_WORDS.keys() == LANGUAGES.keys()


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize(
    ("code", "one", "many"),
    [
        ("en", "1 piece of news for you", "1,234 pieces of news for you"),
        ("de", "1 Neuigkeit für Sie", "1.234 Neuigkeiten für Sie"),
        ("it", "1 novità per te", "1.234 novità per te"),
    ],
)
def test_numbers_take_the_form_of_their_language(code: str, one: str, many: str) -> None:
    words = email_words(code)

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
    confirmed = dict(letters(code))["booking.confirmed"]
    said = dict(confirmed.details)

    assert amount in said.values()
    assert any(value.startswith(day) for value in said.values())


# Parts


def test_both_parts_say_the_same() -> None:
    for name, content, html, text in parts():
        seen = " ".join(unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL)).split())
        plain = " ".join(text.split())
        said = [content.title, content.hello, content.lead, content.why, content.code, content.hint, content.more]
        said += [word for pair in content.details for word in pair]
        said += [word for item in content.items for word in (item.title, item.body, item.at)]
        said += [word for button in content.buttons for word in (button.label, button.hint)]
        for word in said:
            assert " ".join(word.split()) in seen, (name, word)
            assert " ".join(word.split()) in plain, (name, word)
        for url in [
            *(button.url for button in content.buttons),
            *([content.unsubscribe_url] if content.unsubscribe_url else []),
        ]:
            assert f'href="{url}"' in html, name
            assert url in text, name


def test_what_people_are_called_is_never_taken_for_markup() -> None:
    for name, _, html, _ in parts():
        assert "<Flügel>" not in html, name
    assert any("&lt;Flügel&gt;" in html for _, _, html, _ in parts())


def test_a_letter_brings_nothing_from_elsewhere() -> None:
    for name, _, html, _ in parts():
        assert not re.search(r"<(?:img|link|script|table|iframe)|url\(|@import", html), name
        assert set(re.findall(r'https?://[^/"\s]+', html)) <= {"https://guild.example"}, name


def test_style_is_in_every_element_and_only_what_a_screen_decides_is_left() -> None:
    for name, _, html, _ in parts():
        (left,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
        assert left.strip().startswith("@media (prefers-color-scheme: dark)"), name
        assert 'class="card" style="' in html, name


def test_a_letter_with_a_code_names_nobody() -> None:
    with_a_code = [part for part in parts() if part[1].layout == "code"]

    assert len(with_a_code) == len(CODES) * len(EMAIL_WORDS)
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
def test_nobody_is_called_what_they_are_to_click_on(name: str, hello: str) -> None:
    brief = brief_of("en", CARLA, BookingAbandoned())
    brief = replace(brief, reader=msgspec.structs.replace(brief.reader, name=name))

    assert WRITER.notice(brief, None, NOW).hello == hello


# Looks


def pages(code: str) -> Iterator[tuple[str, str]]:
    """Every page that a link may open."""
    words = email_words(code)
    details = list(dict(letters(code))["booking.confirmed"].details)
    for name in sorted(
        {key.rpartition(".")[0] for key in words.texts if key.startswith("page.") and key.endswith(".title")}
    ):
        said = {"business": BRAND, "kind": "Buchung bestätigt"}
        page = Page(
            status=200,
            title=words.say(f"{name}.title"),
            lead=words.say(f"{name}.lead", **said),
            details=details if name.startswith(("page.cancel", "page.confirm")) else (),
            button=words.texts.get(f"{name}.button", ""),
        )
        body = render_page(page, words, BRAND, {}).body
        assert isinstance(body, bytes)
        yield f"{name}.{code}", body.decode()


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
@pytest.mark.parametrize(("width", "scheme"), some([*product((375, 1280), SCHEMES)], (375, "dark"), (1280, "light")))
def test_letters_and_pages_fit_the_window_and_can_be_read(width: int, scheme: str, tmp_path: Path) -> None:
    shown = {name: html for name, _, html, _ in parts()} | dict(page for code in EMAIL_WORDS for page in pages(code))

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
