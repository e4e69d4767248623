"""Opt-out and opt-in by replying with one word."""

from enum import StrEnum

#: Twilio's words, and those of the other languages. German "Ende" and Italian "fine" are left out: the first is
#: common, and an English reader may reply "fine" to agree.
STOP_WORDS = frozenset(
    {
        *("stop", "stopall", "unsubscribe", "cancel", "end", "quit", "optout", "revoke"),
        *("stopp", "abmelden", "abbestellen"),
        *("basta", "annulla", "cancellami"),
    }
)
START_WORDS = frozenset({"start", "unstop"})
#: Characters that phones put around a word.
_TRIMMED = " \t\r\n.,!?\"'“”„‘’-"
#: Characters of a reply that are read.
_CHARS_MAX = 64


class Meaning(StrEnum):
    """The meaning of a reply."""

    STOP = "stop"
    START = "start"
    OTHER = "other"


def meaning(text: str) -> Meaning:
    """The meaning of a reply; only a single word opts out or in."""
    word = text[:_CHARS_MAX].strip(_TRIMMED).casefold().replace("opt-out", "optout").replace("opt out", "optout")
    if word in STOP_WORDS:
        return Meaning.STOP
    return Meaning.START if word in START_WORDS else Meaning.OTHER
