"""Suggested replies: five that fit, in each language, whatever was said; and nothing else, whatever a model says."""

import re
from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.rules.contact_data import has_contact, redacted
from actors.rules.replies import (
    TROUBLE,
    ContextMessage,
    MessageKind,
    ReplyContext,
    Side,
    Stage,
    clean,
    fill_up,
    kind_of,
    local_replies,
    reply_digest,
    suggestion_id,
    usable_replies,
)
from actors.rules.reply_words import de, en, it
from protocol.booking.terms import BookingStatus
from protocol.roles import Role
from protocol.suggestion.terms import REPLIES, REPLY_CHARS_MAX

LANGUAGES = {"en": en, "de": de, "it": it}
ENGLISH = ReplyContext("en", Role.CUSTOMER, BookingStatus.CONFIRMED, (ContextMessage(False, "When will you come?"),))


# The local rules


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_local_reply_is_one_that_the_check_lets_through(language: str) -> None:
    words = LANGUAGES[language]
    tables = [*words.KINDS.values(), *words.STAGES.values()]
    replies = [reply for table in tables for side in table.values() for reply in side] + [
        *words.GENERAL,
        *words.TROUBLE,
    ]

    assert [reply for reply in replies if clean(reply, language) != reply] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_words_for_everything(language: str) -> None:
    words = LANGUAGES[language]

    assert set(words.KINDS) == set(MessageKind) - {MessageKind.OTHER}
    assert set(words.STAGES) == set(Stage)
    for kind, sides in words.KINDS.items():
        assert Side.ANY in sides, kind
        assert set(sides) == set(en.KINDS[kind])
    assert {frozenset(sides) for sides in words.STAGES.values()} == {frozenset({Side.CUSTOMER, Side.PROVIDER})}


#: For each kind of message one that is of it.
EXAMPLES = {
    MessageKind.GREETING: "Good morning!",
    MessageKind.COMPLAINT: "You are a fraud, give me my money back",
    MessageKind.CANCEL: "Ich muss leider absagen",
    MessageKind.PROBLEM: "Il rubinetto è rotto",
    MessageKind.LATE: "I'm running late, sorry",
    MessageKind.ARRIVAL: "Where are you?",
    MessageKind.PRICE: "Quanto costa?",
    MessageKind.PLACE: "Wo kann ich parken?",
    MessageKind.TIME: "Hallo, wann kommen Sie morgen?",
    MessageKind.THANKS: "Thanks a lot!",
    MessageKind.QUESTION: "Hi, do you have a ladder?",
    MessageKind.OTHER: "The cat is called Minka.",
}


@pytest.mark.parametrize(("kind", "text"), EXAMPLES.items())
def test_what_a_message_is_about_shows_in_its_words(kind: MessageKind, text: str) -> None:
    assert kind_of([ContextMessage(False, text)]) is kind


@pytest.mark.parametrize("text", ["Hello?", "hi", "Guten Tag, Frau Meier!", "Buongiorno!!"])
def test_a_greeting_and_no_more_is_a_greeting_whatever_its_marks(text: str) -> None:
    assert kind_of([ContextMessage(False, text)]) is MessageKind.GREETING


def test_ones_own_message_and_an_empty_thread_are_kinds_of_their_own() -> None:
    assert kind_of([ContextMessage(False, "Where are you?"), ContextMessage(True, "Where are you?")]) is MessageKind.OWN
    assert kind_of([]) is MessageKind.NOTHING


def test_there_are_five_local_replies_for_every_scene() -> None:
    texts: list[Sequence[ContextMessage]] = [(ContextMessage(False, text),) for text in EXAMPLES.values()]
    texts += [(), (ContextMessage(True, "Hello"),)]
    for language, role, status, said in product(LANGUAGES, set(Role) - {Role.SYSTEM}, [None, *BookingStatus], texts):
        where = ReplyContext(language, role, status, said)
        replies = fill_up((), where)
        assert len(replies) == len({reply.casefold() for reply in replies}) == REPLIES, where


def test_replies_fit_reader_language_question_and_job() -> None:
    customer = ReplyContext("en", Role.CUSTOMER, BookingStatus.CONFIRMED, (ContextMessage(False, "I'm on my way"),))
    staff = ReplyContext("de", Role.STAFF, BookingStatus.IN_PROGRESS, (ContextMessage(False, "Where are you?"),))

    assert fill_up((), customer)[:4] == [*en.KINDS["arrival"]["customer"], en.STAGES["before"]["customer"][0]]
    assert fill_up((), staff)[:4] == [*de.KINDS["arrival"]["provider"], de.STAGES["now"]["provider"][0]]


@pytest.mark.parametrize(
    "text",
    [
        "I have to cancel",
        "You are a fraud, give me my money back",
        "Der Hahn ist kaputt",
        "Voglio un rimborso, truffatori",
    ],
)
def test_no_reply_cheers_or_promises_after_bad_news(text: str) -> None:
    for language, role, status in product(LANGUAGES, (Role.CUSTOMER, Role.OWNER, Role.STAFF), [None, *BookingStatus]):
        words = LANGUAGES[language]
        where = ReplyContext(language, role, status, (ContextMessage(False, text),))
        cheerful = {reply for sides in words.STAGES.values() for side in sides.values() for reply in side}
        cheerful |= {"Sounds good!", "Klingt gut!", "Ottimo!"}

        assert not cheerful & set(fill_up((), where)) - {
            reply for kind in TROUBLE for side in words.KINDS[kind].values() for reply in side
        }, where


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_reply_assumes_who_travels_to_whom(language: str) -> None:
    """A salon's owner who is asked for parking does not ask where to park."""
    asked = (ContextMessage(False, "Is there parking? Gibt es Parkplätze? C'è parcheggio?"),)
    for role in (Role.CUSTOMER, Role.OWNER):
        replies = " ".join(fill_up((), ReplyContext(language, role, BookingStatus.CONFIRMED, asked)))

        assert not re.search(r"(?i)park|ring|klingel|campanell|suon", replies)


def test_the_same_scene_has_the_same_replies() -> None:
    assert fill_up((), ENGLISH) == fill_up((), ENGLISH)


# The check


@pytest.mark.parametrize(
    "reply",
    [
        "See https://evil.example/pay",
        "Go to evil.com",
        "Go to EVIL．COM now",
        "Look at www.evil",
        "Pay at evil[.]com please",
        "Pay at evil dot com please",
        "Open 10.0.0.1/admin",
        "mailto:me@x",
        "Write to me@evil.com",
        "Write to me (at) evil.com",
        "Find me as @evil_bot",
        "Call +49 151 2345 6789",
        "Call 0151-23456789",
        "Call 01 51 23 45 67",
        "Call ０１５１２３４５６",
        "Call ٠١٥١٢٣٤٥٦",
        "My code is 482913",
        "Two\nlines",
        "Two\u2028lines",
        "A\u202etxt",
        "A\u200bb",
        "A\x00b",
        "A\tb",
        "x" * (REPLY_CHARS_MAX + 1),
        "",
        "   ",
        "!!!",
        "🚗",
        "<b>Yes</b>",
        "[number]",
        "`rm`",
        "{{name}}",
        "Привет",
        "Yеs",  # with a Cyrillic letter
        "Z\u0336\u0337\u0338\u0335algo",
        "Ich bin sehr bald da und ich melde mich",
        "\ud800",
        None,
        5,
        ["Yes"],
        {"text": "Yes"},
    ],
)
def test_a_bad_reply_is_dropped(reply: object) -> None:
    assert clean(reply, "en") is None


@pytest.mark.parametrize(
    "reply",
    [
        "I'm on my way 🚗",
        "At 14:30, if that's fine.",
        "That would be 120 euros.",
        "On 10.06.2026 I'm free.",
        "Perché no?",
        "Ok!",
        "See you at 9-ish ☺️",
    ],
)
def test_a_good_reply_is_shown_as_it_is(reply: str) -> None:
    assert clean(f" {reply} ", "en") == reply


def test_replies_that_differ_by_case_and_punctuation_only_are_one() -> None:
    assert usable_replies(["Yes, please.", "yes please", "YES PLEASE!", "No"], "en") == ["Yes, please.", "No"]


def test_good_replies_come_first_and_local_ones_fill_up() -> None:
    said = ["I'll be at home all day.", "Visit http://evil.example", "Call 0151 2345678", "Sounds good!"]

    replies = fill_up(usable_replies(said, "en"), ENGLISH)

    assert replies[:2] == ["I'll be at home all day.", "Sounds good!"]
    assert replies[2:] == list(local_replies(ENGLISH))[:3]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=200),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
wicked = st.text(st.sampled_from("abz .@:/0123456789\n\u202e\u200d<>[](){}dotcm+-äé🚗"), max_size=130)
known_replies = st.sampled_from([*en.GENERAL, *de.GENERAL, *it.GENERAL]).map(str.swapcase)


@given(
    st.lists(anything | wicked | known_replies, max_size=12),
    st.sampled_from(sorted(LANGUAGES)),
    st.sampled_from([Role.CUSTOMER, Role.STAFF, Role.OWNER, Role.ADMIN]),
    st.none() | st.sampled_from(BookingStatus),
    st.lists(st.builds(ContextMessage, st.booleans(), st.text(max_size=80) | wicked), max_size=5),
)
def test_whatever_a_model_says_there_are_five_clean_replies(
    said: list[Any], language: str, role: Role, status: BookingStatus | None, messages: list[ContextMessage]
) -> None:
    where = ReplyContext(language, role, status, messages)

    replies = fill_up(usable_replies(said, language), where)

    assert len(replies) == REPLIES
    assert len({reply.casefold() for reply in replies}) == REPLIES
    assert all(clean(reply, language) == reply for reply in replies)
    assert not any(has_contact(reply) for reply in replies)
    assert all(reply.isprintable() and 0 < len(reply) <= REPLY_CHARS_MAX for reply in replies)


# What may go out


@pytest.mark.parametrize(
    ("text", "goes_out"),
    [
        ("Call me: +49 (151) 2345-6789!", "Call me: [number]!"),
        ("0151/23456789", "[number]"),
        ("IBAN DE89 3704 0044 0532 0130 00 please", "IBAN DE[number] please"),
        ("The code is 48291", "The code is [number]"),
        ("Mail anna.b+x@mail.example.org now", "Mail [email] now"),
        ("see https://x.example/a?b=c#d ok", "see [link] ok"),
        ("see maps.example/abc", "see [link]"),
        ("I'm @anna_b there", "I'm [handle] there"),
        ("０１５１ ２３４５６７８", "[number]"),
        ("0\u200b1512\u200b345678", "[number]"),
        ("1️⃣5️⃣1️⃣2️⃣3️⃣4️⃣5️⃣", "[number]"),
        ("On 10.06.2026 at 14:30 for 120 €", "On 10.06.2026 at 14:30 for 120 €"),
        ("2026-06-10, 9:00-10:30, room 12", "2026-06-10, 9:00-10:30, room 12"),
    ],
)
def test_contacts_do_not_go_out(text: str, goes_out: str) -> None:
    assert redacted(text).replace("\ufe0f", "").replace("\u20e3", "") == goes_out


@given(st.text(max_size=60), st.from_regex(r"\+49 1[567]\d \d{7}", fullmatch=True), st.text(max_size=60))
def test_no_number_of_a_telephone_goes_out_whatever_stands_around_it(before: str, number: str, after: str) -> None:
    assert number[-7:] not in redacted(f"{before} {number} {after}")


# Their names


def test_the_same_suggestions_have_the_same_id_and_others_another() -> None:
    assert suggestion_id("a", None, "b") == suggestion_id("a", None, "b")
    assert suggestion_id("a", "b") != suggestion_id("b", "a")
    assert suggestion_id("a").version == 8


def test_a_text_and_its_digest_go_together_but_for_blanks_around() -> None:
    assert reply_digest(" Yes ") == reply_digest("Yes")
    assert reply_digest("Yes") != reply_digest("yes")


@pytest.mark.parametrize("unit", ["a-", "a.", "_.", "-", "a", "a (", "1 ", "a@", "w.w-"])
def test_looking_for_contacts_takes_time_by_length_and_no_more(unit: str) -> None:
    """A text for which it took the square of that would not be done today."""
    text = unit * (100_000 // len(unit))

    assert len(redacted(text)) > 0
