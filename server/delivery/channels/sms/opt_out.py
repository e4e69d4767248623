"""What somebody means who answers a short message with one word: no more, or again."""

from enum import StrEnum

#: Twilio's own words, and those of our other languages. German "Ende" and Italian "fine" are left out: the first is
#: harmless, the second is what an English reader says who is content.
STOP_WORDS = frozenset(
    {
        *("stop", "stopall", "unsubscribe", "cancel", "end", "quit", "optout", "revoke"),
        *("stopp", "abmelden", "abbestellen"),
        *("basta", "annulla", "cancellami"),
    }
)
START_WORDS = frozenset({"start", "unstop"})
#: What is around a word, as telephones write it.
_AROUND = " \t\r\n.,!?\"'“”„‘’-"
#: Nobody reads more of an answer.
_CHARS_MAX = 64


class Meaning(StrEnum):
    """What an answer means."""

    STOP = "stop"
    START = "start"
    OTHER = "other"


def meaning(text: str) -> Meaning:
    """What the answer means. A word within a sentence is no order."""
    word = text[:_CHARS_MAX].strip(_AROUND).casefold().replace("opt-out", "optout").replace("opt out", "optout")
    if word in STOP_WORDS:
        return Meaning.STOP
    return Meaning.START if word in START_WORDS else Meaning.OTHER
