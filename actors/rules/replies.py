"""Suggested replies (rules T-7, T-8): local rules, which always have at least five, and the check of a model's replies.

The result always has five valid replies: invalid ones are dropped, and local ones fill up.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from actors.rules.contact_data import has_contact, plain
from actors.rules.reply_words import de, en, it
from protocol.booking.terms import BookingStatus
from protocol.roles import PROVIDERS, Role
from protocol.suggestion.terms import REPLIES, REPLY_CHARS_MAX

#: A reply has to fit this many last messages of a conversation (rule T-7).
CONTEXT_MESSAGES_MAX = 5
#: The most words of a message that is only a greeting.
GREETING_WORDS_MAX = 5
#: Combining marks on one letter; more of them serve to hide text.
MARKS_MAX = 2


class Side(StrEnum):
    """The reader's side of the booking."""

    CUSTOMER = "customer"
    PROVIDER = "provider"
    ANY = "any"


class Stage(StrEnum):
    """The stage of the booking."""

    BEFORE = "before"
    NOW = "now"
    AFTER = "after"
    OFF = "off"


class MessageKind(StrEnum):
    """The subject of the last message."""

    GREETING = "greeting"
    COMPLAINT = "complaint"
    CANCEL = "cancel"
    PROBLEM = "problem"
    LATE = "late"
    ARRIVAL = "arrival"
    PRICE = "price"
    PLACE = "place"
    TIME = "time"
    THANKS = "thanks"
    QUESTION = "question"
    OWN = "own"
    NOTHING = "nothing"
    OTHER = "other"


class ContextMessage(NamedTuple):
    """One message that a reply has to fit."""

    own: bool
    text: str


class ReplyContext(NamedTuple):
    """The context that a reply has to fit."""

    #: ``en``, ``de`` or ``it``.
    language: str
    #: The reader's role in the conversation.
    role: Role
    #: None: the conversation has no booking.
    status: BookingStatus | None
    #: The last messages, oldest first.
    messages: Sequence[ContextMessage]


#: Bad news: no reply to it may cheer, or promise that the job goes on as planned.
TROUBLE = frozenset({MessageKind.COMPLAINT, MessageKind.CANCEL, MessageKind.PROBLEM})

_WORDS = {"en": en, "de": de, "it": it}
_STAGES = {
    BookingStatus.PENDING: Stage.BEFORE,
    BookingStatus.CONFIRMED: Stage.BEFORE,
    BookingStatus.IN_PROGRESS: Stage.NOW,
    BookingStatus.COMPLETED: Stage.AFTER,
}

#: The subject of a message by its words in any of the languages; the first match wins.
_ABOUT: Sequence[tuple[MessageKind, re.Pattern[str]]] = [
    (kind, re.compile(rf"\b(?:{words})\b"))
    for kind, words in (
        (
            MessageKind.COMPLAINT,
            r"fraud\w*|scam\w*|cheat\w*|rip-?off|money back|refund\w*|lawyer|police|angry|unacceptable|disappoint\w*"
            r"|terrible|awful|disgust\w*|complain\w*|betrug|betrüg\w*|geld zurück|zurückzahl\w*|erstatt\w*"
            r"|rückerstatt\w*|anwalt|polizei|unverschämt\w*|frechheit|enttäusch\w*|schrecklich|beschwer\w*|truff\w*"
            r"|imbrogli\w*|rimbors\w*|soldi indietro|avvocato|polizia|inaccettabil\w*|delus\w*|vergogn\w*|reclamo",
        ),
        (
            MessageKind.CANCEL,
            r"cancel\w*|call(?:ed|ing)? off|absag\w*|abgesagt|abzusagen|stornier\w*|annull\w*|disdi\w*|disdett\w*",
        ),
        (
            MessageKind.PROBLEM,
            r"broken?|leak\w*|damage\w*|problem\w*|(?:doesn't|does not|not) work\w*|kaputt|undicht|schaden"
            r"|defekt|funktioniert nicht|rott[oa]|guast[oa]|danneggiat[oa]|non funziona",
        ),
        (
            MessageKind.LATE,
            r"(?:be|am|i'm|running|bit|little|minutes|too) late|delay\w*|verspät\w*|zu spät|verzöger\w*|stau|in ritardo"
            r"|ritardo|traffico",
        ),
        (
            MessageKind.ARRIVAL,
            r"on (?:my|your|the) way|where are you|arriv\w*|how far|unterwegs|wo (?:bist du|sind sie|bleib\w*)"
            r"|an(?:zu)?kommen|angekommen|dove (?:sei|è|siete)|per strada",
        ),
        (
            MessageKind.PRICE,
            r"price\w*|costs?|how much|charge\w*|pay|paid|payment|invoice|preis\w*|kost(?:et|en)|wie ?viel|zahl\w*"
            r"|bezahl\w*|rechnung|prezz\w*|costa|costo|quanto|pag(?:are|amento|o|a)|fattura",
        ),
        (
            MessageKind.PLACE,
            r"address|where|parking|park|door|bell|floor|adresse|wo|parken|parkplatz|tür|klingel\w*|stock|etage"
            r"|indirizzo|dove|parchegg\w*|porta|campanello|piano",
        ),
        (
            MessageKind.TIME,
            r"when|what time|o'clock|today|tomorrow|reschedul\w*|later|earlier|wann|uhr|uhrzeit|heute|morgen|termin\w*"
            r"|verschieb\w*|später|früher|quando|che or[ae]|orario|oggi|domani|spostare|più tardi|prima",
        ),
        (MessageKind.THANKS, r"thank\w*|thx|cheers|dank\w*|grazie"),
    )
]
_GREETING = re.compile(
    r"\s*(?:hi|hello|hey|good (?:morning|afternoon|evening)|hallo|guten? (?:morgen|tag|abend)|servus|moin|grüß gott"
    r"|ciao|salve|buongiorno|buonasera)\b"
)

#: Words that only one of the languages has.
_TYPICAL_WORDS: Mapping[str, frozenset[str]] = {
    language: frozenset(re.findall(r"\S+", words))
    for language, words in (
        ("en", "the is are you your i'm i'll we it's that this with for and can will not have my please"),
        ("de", "der das ist sind sie ihr ihnen ich wir es und mit für kann wird nicht habe mein bitte auf zu"),
        ("it", "il lo gli è sono lei suo sua che con per può sarà non ho mio mia un una della di le"),
    )
}
#: Characters of code, markup, or the placeholders in a prompt.
_MARKUP = frozenset("<>[]{}`|\\^~")
_SPACE = " "


# The local rules


def local_replies(context: ReplyContext) -> Iterator[str]:
    """Yield local replies that fit the context, the best first, without duplicates; always more than five."""
    words, side, kind = _WORDS[context.language], _side(context.role), kind_of(context.messages)
    fitting = words.KINDS.get(kind, {})
    about = fitting.get(side) or fitting.get(Side.ANY, ())
    if kind in TROUBLE:
        yield from dict.fromkeys([*about, *words.TROUBLE])
        return
    stage = () if context.status is None else words.STAGES[_STAGES.get(context.status, Stage.OFF)].get(side, ())
    yield from dict.fromkeys([*about, *stage, *words.GENERAL])


def kind_of(messages: Sequence[ContextMessage]) -> MessageKind:
    """The subject of the last message."""
    if not messages:
        return MessageKind.NOTHING
    last = messages[-1]
    if last.own:
        return MessageKind.OWN
    text = plain(last.text).casefold().replace("’", "'")
    greets = _GREETING.match(text)
    if greets and (not text[greets.end() :].strip(" !?.,") or _is_short(text)):
        return MessageKind.GREETING
    for kind, words in _ABOUT:
        if words.search(text):
            return kind
    return MessageKind.QUESTION if "?" in text else MessageKind.OTHER


def _is_short(greeting: str) -> bool:
    return "?" not in greeting and len(greeting.split()) <= GREETING_WORDS_MAX


def _side(role: Role) -> Side:
    if role is Role.CUSTOMER:
        return Side.CUSTOMER
    return Side.PROVIDER if role in PROVIDERS else Side.ANY


# The check


def usable_replies(candidates: Iterable[object], language: str) -> list[str]:
    """Return the valid ones of a model's replies, cleaned; at most five."""
    return _without_duplicates(filter(None, [clean(candidate, language) for candidate in candidates]))


def fill_up(replies: Iterable[str], context: ReplyContext) -> list[str]:
    """Fill up to five replies with local ones."""
    return _without_duplicates([*replies, *local_replies(context)])


def clean(candidate: object, language: str) -> str | None:
    """Return a cleaned reply; None if it is invalid.

    Contact data makes it invalid, even if the conversation contains the same: contact data is never sent to the model,
    so the model made it up.
    """
    if not isinstance(candidate, str) or len(candidate) > 2 * REPLY_CHARS_MAX:
        return None
    reply = unicodedata.normalize("NFC", candidate.strip(_SPACE))
    fits = (
        0 < len(reply) <= REPLY_CHARS_MAX and all(test(reply) for test in _TESTS) and _is_in_language(reply, language)
    )
    return reply if fits else None


def _one_line_of_text(reply: str) -> bool:
    """Whether it has no control or format characters, and no space but U+0020."""
    return all(char == _SPACE or unicodedata.category(char)[0] not in "CZ" for char in reply)


def _no_markup(reply: str) -> bool:
    return not _MARKUP & set(plain(reply))


def _latin(reply: str) -> bool:
    """Whether all letters are Latin, and there is at least one."""
    letters = [char for char in plain(reply) if char.isalpha()]
    return bool(letters) and all(unicodedata.name(char, "").startswith("LATIN") for char in letters)


def _no_stacked_marks(reply: str) -> bool:
    marks = 0
    for char in reply:
        marks = marks + 1 if unicodedata.category(char)[0] == "M" else 0
        if marks > MARKS_MAX:
            return False
    return True


def _no_contact(reply: str) -> bool:
    return not has_contact(reply)


_TESTS: Sequence[Callable[[str], bool]] = (_one_line_of_text, _no_markup, _latin, _no_stacked_marks, _no_contact)


def _is_in_language(reply: str, language: str) -> bool:
    """Whether it is not clearly in another of the three languages, by at least two typical words."""
    words = set(re.findall(r"[\w']+", reply.casefold().replace("’", "'")))
    counts = {name: len(words & known) for name, known in _TYPICAL_WORDS.items()}
    own = counts.pop(language)
    return own > 0 or max(counts.values()) < 2


def _without_duplicates(replies: Iterable[str]) -> list[str]:
    """The first five replies that differ by more than case, spaces and punctuation."""
    kept: dict[str, str] = {}
    for reply in replies:
        kept.setdefault(_letters_and_digits(reply), reply)
    return list(kept.values())[:REPLIES]


def _letters_and_digits(reply: str) -> str:
    return "".join([char for char in plain(reply).casefold() if char.isalnum()])


# Ids


def suggestion_id(*parts: str | UUID | None) -> UUID:
    """Make an id (RFC 9562, version 8) from the suggestion and its reader, so that equal suggestions have equal ids."""
    digest = sha256("\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")).digest()
    return UUID(int=(int.from_bytes(digest[:16], "big") & ~(0xF << 76 | 0x3 << 62)) | 0x8 << 76 | 0x2 << 62)


def reply_digest(text: str) -> int:
    """A 64-bit digest of a text, to compare a sent message with the suggested reply."""
    return int.from_bytes(sha256(text.strip(_SPACE).encode("utf-8", "surrogatepass")).digest()[:8], "big", signed=True)
