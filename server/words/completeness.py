"""Which texts a language lacks. English must have every text; the other languages fall back to it."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from enum import Enum

import msgspec

from protocol.booking import events as booking_events
from protocol.booking.terms import DeclineReason
from protocol.code.terms import EMAIL_CHANGED, TEMPLATES
from protocol.errors import ERRORS
from protocol.events import EVENTS, Event
from protocol.notification.registry import NOTIFICATIONS
from server.words.languages import ENGLISH
from server.words.texts import NounTexts

#: Packages whose errors need a text.
_PACKAGES = frozenset({"actors", "protocol", "server", "storage"})
#: Fields of an event that choose among its sentences in the timeline.
CODE_FIELDS = ("reason_code", "cause")


def assert_complete() -> None:
    """Assert that English has a text for everything that is declared; to be called when all modules are imported."""
    lacking = missing(ENGLISH.texts)
    assert not lacking, f"English lacks texts: {', '.join(lacking)}"


def missing(texts: NounTexts) -> list[str]:
    """The texts that are declared, or that English has, and that these lack: ``errors slot_taken``."""
    lacking = {f"{section} {name}" for section, name in _declared() if name not in getattr(texts, section)}
    lacking |= {f"timeline {event.type}" for event in _timeline_events() if not _has_sentence(texts.timeline, event)}
    for section in fields(NounTexts):
        names = getattr(ENGLISH.texts, section.name).keys() - getattr(texts, section.name).keys()
        lacking |= {f"{section.name} {name}" for name in names}
    return sorted(lacking)


def _declared() -> Iterator[tuple[str, str]]:
    """Section and name of each text that something else in the product refers to."""
    for name in (*(one.name for one in NOTIFICATIONS), *TEMPLATES.values(), EMAIL_CHANGED):
        yield "notifications", name
    for reason in DeclineReason:
        yield "terms", f"decline.{reason.value}"
    for code, error in ERRORS.items():
        if error.__module__.partition(".")[0] in _PACKAGES:
            yield "errors", code


def _timeline_events() -> list[type[Event]]:
    return [event for event in EVENTS.values() if event.__module__ == booking_events.__name__]


def _has_sentence(timeline: Mapping[str, str], event: type[Event]) -> bool:
    """Whether an event has a sentence, or one for each of its reasons or causes."""
    if event.type in timeline:
        return True
    codes = next((field.type for field in msgspec.structs.fields(event) if field.name in CODE_FIELDS), None)
    if not (isinstance(codes, type) and issubclass(codes, Enum)):
        return False
    return all(f"{event.type}:{code.value}" in timeline for code in codes)
