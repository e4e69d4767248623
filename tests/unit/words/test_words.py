"""Texts by language and noun: English is complete, other languages fall back to it text by text."""

import string
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

import server.app.bootstrap  # noqa: F401  # imports every error
from protocol.booking.events import BookingReleased
from protocol.events import EVENTS
from protocol.money import MINOR_DIGITS, Money
from server.words.completeness import all_texts, assert_complete, missing
from server.words.errors import error_text
from server.words.languages import ENGLISH, LANGUAGES, Language, language, language_of
from server.words.texts import EventText, NounTexts, collect

CODES = sorted(LANGUAGES)
#: Sections whose texts name their fields freely: a language may leave a field out.
FREE = ("events", "templates", "errors")


def test_english_has_a_text_for_everything_that_is_declared() -> None:
    assert_complete()


#: language → the texts that it still takes from English, as ``missing`` names them.
STILL_ENGLISH: dict[str, list[str]] = {"de": [], "it": []}


def test_the_texts_that_are_not_translated_yet_are_listed() -> None:
    assert {code: missing(LANGUAGES[code].texts) for code in CODES if code != "en"} == STILL_ENGLISH


@pytest.mark.parametrize("code", CODES)
def test_no_language_has_a_text_that_english_lacks(code: str) -> None:
    own, english = ({(where, name) for where, name, _ in all_texts(one.texts)} for one in (LANGUAGES[code], ENGLISH))

    assert own <= english


@pytest.mark.parametrize("code", CODES)
def test_a_translation_uses_the_fields_of_the_english_text(code: str) -> None:
    for section, name, text in all_strings(LANGUAGES[code].texts):
        english = next(one for where, key, one in all_strings(ENGLISH.texts) if (where, key) == (section, name))
        assert names(text) <= names(english), (section, name)
        if section.partition(".")[0] not in FREE:
            assert names(text) == names(english), (section, name)


def all_strings(texts: NounTexts) -> Iterator[tuple[str, str, str]]:
    """``all_texts``, with those of several strings taken apart."""
    for section, name, text in all_texts(texts):
        if isinstance(text, Mapping):
            yield from ((f"{section}.{form}", name, one) for form, one in text.items())
        elif isinstance(text, tuple):
            yield from ((f"{section}.{at}", name, one) for at, one in enumerate(text))
        else:
            yield section, name, text


def names(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize(
    ("section", "name"),
    [
        ("templates", "code.sms"),
        ("errors", "slot_taken"),
        ("terms", "decline.UNWELL"),
        ("emails", "hello"),
        ("counted", "code.holds"),
        ("problems", "missing"),
    ],
)
def test_what_is_missing_is_named(section: str, name: str) -> None:
    assert missing(without(section, name)) == [f"{section} {name}"]


def test_what_an_event_lacks_is_named() -> None:
    unread = missing(with_event("booking.paid", EventText(timeline="{amount} was paid.")))
    untold = missing(with_event("booking.paid", EventText(title="New booking", body="{amount} is paid.")))

    assert unread == ["events.body booking.paid", "events.title booking.paid"]
    assert untold == ["events.timeline booking.paid"]
    assert missing(without("events", "booking.created")) == ["events.timeline booking.created"]


def test_an_event_with_causes_needs_a_sentence_for_each_of_them() -> None:
    lacking = missing(without("events", "booking.released:time"))

    assert lacking == ["events.timeline booking.released", "events.timeline booking.released:time"]
    assert EVENTS["booking.released"] is BookingReleased


def without(section: str, name: str) -> NounTexts:
    found: dict[str, Any] = dict(getattr(ENGLISH.texts, section))
    del found[name]
    return replace(ENGLISH.texts, **{section: found})


def with_event(name: str, text: EventText) -> NounTexts:
    return replace(ENGLISH.texts, events={**ENGLISH.texts.events, name: text})


def test_a_notification_has_both_a_title_and_a_body() -> None:
    with pytest.raises(AssertionError, match="a title and a body"):
        EventText(title="New booking")


@pytest.mark.parametrize("code", CODES)
def test_a_reason_or_cause_has_a_sentence_only(code: str) -> None:
    of_codes = [text for name, text in LANGUAGES[code].texts.events.items() if ":" in name]

    assert of_codes
    assert all(text.title is None and text.timeline is not None for text in of_codes)


def test_a_key_that_two_nouns_define_is_refused() -> None:
    one, two = NounTexts(emails={"hello": "Hello"}), NounTexts(emails={"hello": "Good day"})

    with pytest.raises(AssertionError, match="emails has two texts for hello"):
        collect([one, two])


def test_the_same_key_in_two_sections_is_two_texts() -> None:
    collected = collect([NounTexts(emails={"code": "A"}), NounTexts(terms={"code": "B"})])

    assert (collected.emails, collected.terms) == ({"code": "A"}, {"code": "B"})


def test_a_text_that_a_language_lacks_is_english(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = Language(LANGUAGES["de"].formats, NounTexts(errors={"not_found": ("Nicht gefunden", "Das fehlt.")}))
    monkeypatch.setitem(LANGUAGES, "de", bare)

    assert error_text("not_found", {}, "de").title == "Nicht gefunden"
    assert error_text("forbidden", {}, "de").title == "Not allowed"
    assert error_text("invalid", {"a": "missing"}, "de").body == "„a“ is missing."
    assert bare.notification("booking.confirmed").title == "Booking confirmed"
    assert bare.timeline("booking.released", "time") == "Nobody objected in time: {amount} was released."
    assert bare.say("cancel") == "Cancel this booking"
    assert bare.count("code.holds", 1) == "It is valid for 1 minute, and for one use."
    assert bare.term("decline.UNWELL") == "unwell"


def test_each_part_of_an_event_s_text_falls_back_alone() -> None:
    events = {
        "booking.paid": EventText(timeline="Bezahlt: {amount}."),
        "booking.declined": EventText(title="Abgelehnt", body="Leider nein."),
    }
    bare = Language(LANGUAGES["de"].formats, NounTexts(events=events))

    assert bare.notification("booking.paid").title == "New booking"
    assert bare.timeline("booking.paid") == "Bezahlt: {amount}."
    assert bare.notification("booking.declined").title == "Abgelehnt"
    assert bare.timeline("booking.declined") == "{by} declined the job: {reason}."


def test_a_type_without_texts_is_shown_by_its_name() -> None:
    assert LANGUAGES["it"].notification("newer.type") == ("newer.type", "")
    assert LANGUAGES["de"].timeline("newer.event") == "Etwas ist geschehen ({type})."
    assert LANGUAGES["de"].error("newer_error").title == "Nicht möglich"


def test_refusals_are_said_in_the_language_asked_for() -> None:
    assert error_text("slot_taken", {}, "de").title == "Die Zeit ist vergeben"
    assert error_text("slot_taken", {}, "it").title == "L’orario è occupato"
    assert error_text("invalid", {"a": "missing", "b": "odd"}, "de").body == "„a“ fehlt; „b“ passt nicht (odd)."


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("fr, de-AT;q=0.8, en;q=0.5", "de"),
        ("en, de;q=0.9", "en"),
        ("it-CH", "it"),
        ("fr", "en"),
        (None, "en"),
        ("", "en"),
        ("de;q=much", "en"),
        ("it;q=0.5, de; q=0.8", "de"),
        ("it;q=0.5, de ; Q = 0.8", "de"),
        ("de;q=0, it;q=0.1", "it"),
        ("de;q=0", "en"),
        ("de;q=2", "en"),
        ("de;q=nan", "en"),
    ],
)
def test_the_language_is_chosen_by_weight(header: str | None, code: str) -> None:
    assert language_of(header) == code


@pytest.mark.parametrize(
    ("tag", "code"),
    [("de", "de"), ("de-AT", "de"), ("it-Latn-IT", "it"), ("es-419", "en"), ("zh-Hant-TW", "en"), ("den", "en")],
)
def test_a_tag_falls_back_to_its_language_else_to_english(tag: str, code: str) -> None:
    assert language(tag).code == code


@pytest.mark.parametrize(
    ("minor", "currency", "code", "text"),
    [
        (123_450, "EUR", "en", "1234.50 EUR"),
        (123_450, "EUR", "de", "1234,50 EUR"),
        (500, "JPY", "en", "500 JPY"),
        (1_234, "TND", "it", "1,234 TND"),
    ],
)
def test_an_amount_in_a_sentence_has_its_currency_s_decimals(minor: int, currency: str, code: str, text: str) -> None:
    assert LANGUAGES[code].plain_amount(Money(minor, currency)) == text


@pytest.mark.parametrize(
    ("minor", "currency", "code", "text"),
    [
        (1_500, "IQD", "en", "IQD1.500"),
        (1_500, "IQD", "de", "1,500\u00a0IQD"),
        (9_950, "RSD", "en", "RSD99.50"),
        (49, "MMK", "it", "0,49\u00a0MMK"),
        (9_950, "HUF", "de", "99,50\u00a0HUF"),
        (123_456_700, "COP", "de", "1.234.567,00\u00a0COP"),
        (1_200, "JPY", "en", "\u00a51,200"),
        (-123_450, "EUR", "en", "-\u20ac1,234.50"),
    ],
)
def test_an_amount_is_written_to_its_last_minor_unit(minor: int, currency: str, code: str, text: str) -> None:
    assert LANGUAGES[code].amount(Money(minor, currency)) == text


@pytest.mark.parametrize("code", CODES)
def test_no_currency_is_rounded_in_any_language(code: str) -> None:
    point = "." if code == "en" else ","
    written = {currency: LANGUAGES[code].amount(Money(1_234_567, currency)) for currency in MINOR_DIGITS}

    decimals = {
        currency: sum(map(str.isdigit, text.rpartition(point)[2])) if digits else 0
        for (currency, text), digits in zip(written.items(), MINOR_DIGITS.values(), strict=True)
    }
    assert decimals == MINOR_DIGITS
    assert {"".join(filter(str.isdigit, text)) for text in written.values()} == {"1234567"}


#: 9:30 in Tokyo.
IN_TOKYO = datetime(2026, 6, 2, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "Tuesday 2 June, 09:30 (Tokyo)"),
        ("de", "Dienstag, 2. Juni, 09:30 Uhr (Tokio)"),
        ("it", "marted\u00ec 2 giugno, ore 09:30 (Tokyo)"),
    ],
)
def test_a_time_on_another_clock_than_the_reader_s_names_its_city(code: str, text: str) -> None:
    assert LANGUAGES[code].moment_for(IN_TOKYO, "Asia/Tokyo", "Europe/Berlin") == text


@pytest.mark.parametrize("reader_zone", ["Asia/Tokyo", "Asia/Seoul"])
def test_a_time_on_the_reader_s_own_clock_names_no_city(reader_zone: str) -> None:
    assert ENGLISH.moment_for(IN_TOKYO, "Asia/Tokyo", reader_zone) == "Tuesday 2 June, 09:30"


def test_the_clocks_are_compared_on_the_day_of_the_booking() -> None:
    """Phoenix has the time of Denver in winter only."""
    summer, winter = (datetime(2026, month, 2, 18, tzinfo=UTC) for month in (6, 12))

    assert ENGLISH.moment_for(summer, "America/Phoenix", "America/Denver").endswith("11:00 (Phoenix)")
    assert ENGLISH.moment_for(winter, "America/Phoenix", "America/Denver").endswith("11:00")
