"""Which texts a language lacks. English must have every text; the other languages fall back to it."""

from collections.abc import Collection, Iterator
from dataclasses import fields
from enum import Enum
from typing import Any

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
    """Assert that English has a text for everything that is declared; call it once all modules are imported."""
    lacking = missing(ENGLISH.texts)
    assert not lacking, f"English lacks texts: {', '.join(lacking)}"


def missing(texts: NounTexts) -> list[str]:
    """The texts that are declared, or that English has, and that these lack: ``errors slot_taken``."""
    found = {(section, name) for section, name, _ in all_texts(texts)}
    declared = {*_declared(), *((section, name) for section, name, _ in all_texts(ENGLISH.texts))}
    silent = {("events.timeline", event.type) for event in _timeline_events() if not _has_sentence(found, event)}
    return sorted(f"{section} {name}" for section, name in declared - found | silent)


def all_texts(texts: NounTexts) -> Iterator[tuple[str, str, Any]]:
    """Section, name and text of each text; ``events.title``, ``events.body`` and ``events.timeline`` are sections."""
    for name, event in texts.events.items():
        for part in fields(event):
            if (text := getattr(event, part.name)) is not None:
                yield f"events.{part.name}", name, text
    for section in fields(texts):
        if section.name != "events":
            for name, text in getattr(texts, section.name).items():
                yield section.name, name, text


def _declared() -> Iterator[tuple[str, str]]:
    """Section and name of each text that something else in the product refers to."""
    for notification in NOTIFICATIONS:
        yield "events.title", notification.name
    for template in (*TEMPLATES.values(), EMAIL_CHANGED):
        yield "templates", template
    for reason in DeclineReason:
        yield "terms", f"decline.{reason.value}"
    for code, error in ERRORS.items():
        if error.__module__.partition(".")[0] in _PACKAGES:
            yield "errors", code


def _timeline_events() -> list[type[Event]]:
    return [event for event in EVENTS.values() if event.__module__ == booking_events.__name__]


def _has_sentence(found: Collection[tuple[str, str]], event: type[Event]) -> bool:
    """Whether an event has a sentence, or one for each of its reasons or causes."""
    if ("events.timeline", event.type) in found:
        return True
    codes = next((field.type for field in msgspec.structs.fields(event) if field.name in CODE_FIELDS), None)
    if not (isinstance(codes, type) and issubclass(codes, Enum)):
        return False
    return all(("events.timeline", f"{event.type}:{code.value}") in found for code in codes)
