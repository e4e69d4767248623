"""What people read when something is refused, by language and machine code.

``protocol.errors`` knows codes and fields only; the words are here. Another language is another entry of
``LANGUAGES``; a text that it lacks falls back to English, which has one for every code.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

FALLBACK = "en"
#: Fields of a refused input that are spelled out.
PROBLEMS_SHOWN_MAX = 8
#: Languages of an Accept-Language header that are looked at.
WISHES_MAX = 16


class Text(NamedTuple):
    """A title that is always the same for a code, and a sentence that may hold ``{fields}`` of the error."""

    title: str
    detail: str


@dataclass(frozen=True, slots=True)
class Texts:
    """One language."""

    #: error code → its text.
    errors: Mapping[str, Text]
    #: what is wrong with one field → how to go on behind the field's name.
    problems: Mapping[str, str]


ENGLISH = Texts(
    errors={
        "rejected": Text("Not possible", "This is refused; nothing has changed."),
        "invalid": Text("The input does not fit", "Something in the input does not fit."),
        "malformed": Text("The request cannot be read", "The request is not written as it must be ({reason})."),
        "unauthenticated": Text("Please sign in", "This needs a valid access token ({reason})."),
        "forbidden": Text("Not allowed", "You may not do this."),
        "not_found": Text("Not found", "There is no such thing, or nothing that you may see."),
        "method_not_allowed": Text("Method not allowed", "This address answers to {allowed} only."),
        "not_acceptable": Text("Not acceptable", "This address answers in none of the media types asked for."),
        "request_timeout": Text("The request took too long", "The body did not arrive in time."),
        "body_too_large": Text("The body is too large", "This route takes at most {bytes_max} bytes."),
        "unsupported_media_type": Text("Unsupported media type", "Send {header}: {supported}."),
        "limit_reached": Text("Too much at once", "The limit “{limit}” is reached; come again a little later."),
        "conflict": Text("That does not fit any more", "The world is not as the command supposes."),
        "wrong_state": Text("Not possible in this state", "The status {status} does not allow this."),
        "version_mismatch": Text("It has changed meanwhile", "The current version is {version}; look again first."),
        "slot_taken": Text("The time is taken", "Somebody else has just taken this time."),
        "no_staff_free": Text("Nobody is free then", "Nobody who offers the service is free at that time."),
        "slot_unavailable": Text("The time cannot be booked", "This time cannot be booked ({reason})."),
        "pair_blocked": Text("Not available", "The two of you do not deal with each other any more."),
        "owner_stays": Text("The owner stays", "An owner can neither be removed nor be given another role."),
        "already_member": Text("Already in the team", "This person works here already."),
        "email_taken": Text("The address is taken", "The e-mail address belongs to an account already."),
        "phone_taken": Text("The number is taken", "Somebody else has shown that the number is theirs."),
        "code_invalid": Text("The code does not hold", "It is not the code, or it holds no longer. Ask for another."),
        "channel_unavailable": Text("Not possible here", "This installation cannot send that ({channel})."),
        "insufficient_funds": Text("Not enough money", "The account does not hold the amount."),
        "hold_spent": Text("Already settled", "The amount was released or refunded before."),
        "conversation_closed": Text("The conversation is closed", "The conversation can only be read."),
        "command_id_reused": Text(
            "The command id was used before", "The same id came with another command or other content before."
        ),
        "signature_invalid": Text("The signature does not hold", "This is not signed as it must be ({reason})."),
        "gone_from_agenda": Text("No longer due", "It was called off, or is done already; nothing has changed."),
        "fault": Text("Not possible right now", "Something that this needs has failed. Try again."),
        "busy": Text("Very busy", "There is more to do than can be done right now; nothing has changed. Try again."),
        "unavailable": Text("Not available right now", "The service cannot answer right now. Try again."),
        "in_flight": Text("Still at work", "The same command is still being decided. Ask again with the same id."),
        "internal": Text("Something went wrong", "This is our fault. Please report the incident {incident}."),
    },
    problems={
        "missing": "is missing",
        "unknown_field": "is not a known field",
        "unknown_value": "is none of the known values",
        "wrong_type": "has the wrong type",
        "bad_format": "is not in the right format",
        "bad_key": "has a key that does not fit",
        "too_long": "is too long",
        "too_short": "is too short",
        "wrong_length": "has the wrong length",
        "too_large": "is too large",
        "too_small": "is too small",
        "out_of_range": "is out of range",
        "offset_missing": "lacks its offset from UTC",
        "offset_not_allowed": "must not have an offset from UTC",
        "control_character": "holds a control character",
        "blank": "holds nothing to see",
        "lone_surrogate": "holds half a surrogate pair",
        "repeated": "is given more than once",
        "mismatch": "differs from what was said elsewhere",
        "unknown_command": "names no command",
    },
)

LANGUAGES: dict[str, Texts] = {FALLBACK: ENGLISH}


def error_text(code: str, fields: Mapping[str, Any], language: str = FALLBACK) -> Text:
    """Say in words what happened."""
    text = _text(code, language)
    if code == "invalid" and fields:
        return Text(text.title, _spelled_out(fields, language))
    try:
        return Text(text.title, text.detail.format_map(fields))
    except (KeyError, IndexError, ValueError, AttributeError):
        return Text(text.title, f"{text.title}.")


def language_of(accept_language: str | None, known: Iterable[str] = LANGUAGES) -> str:
    """Choose a language that there are texts in from an Accept-Language header."""
    if not accept_language:
        return FALLBACK
    return _chosen(accept_language, tuple(known))


@lru_cache(maxsize=256)
def _chosen(accept_language: str, known: tuple[str, ...]) -> str:
    wishes: list[tuple[float, str]] = []
    for wish in accept_language.split(",")[:WISHES_MAX]:
        tag, _, weight = wish.strip().partition(";q=")
        try:
            wishes.append((-float(weight or 1), tag.partition("-")[0].lower()))
        except ValueError:
            continue
    return next((tag for _, tag in sorted(wishes, key=lambda wish: wish[0]) if tag in known), FALLBACK)


def _text(code: str, language: str) -> Text:
    return LANGUAGES[language].errors.get(code) or ENGLISH.errors.get(code) or ENGLISH.errors["rejected"]


def _spelled_out(fields: Mapping[str, Any], language: str) -> str:
    problems = {**ENGLISH.problems, **LANGUAGES[language].problems}
    shown = list(fields.items())[:PROBLEMS_SHOWN_MAX]
    return (
        "; ".join(f"“{path}” {problems.get(str(problem), f'does not fit ({problem})')}" for path, problem in shown)
        + "."
    )
