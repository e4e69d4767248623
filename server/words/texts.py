"""What one module of texts declares, and how the modules of a language are collected."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

Titled = Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventText:
    """What people read of one event."""

    #: Title and body of the notification; None: there is none. Fields: ``{title}``, ``{number}`` and ``{starts_at}`` of
    #: the booking, ``{customer}``, ``{staff}``, ``{by}`` for the actor, ``{amount}``, ``{device}``.
    title: str | None = None
    body: str | None = None
    #: The sentence in a booking's timeline; None: there is none. Fields: those of the event, ``{total}`` of a price,
    #: ``{customer}``, ``{staff}``, ``{by}``, ``{reason}``.
    timeline: str | None = None

    def __post_init__(self) -> None:
        assert (self.title is None) == (self.body is None), f"a notification has a title and a body: {self}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NounTexts:
    """The texts of one noun in one language; collected, those of all nouns."""

    #: Event type → its texts; ``type:code`` → the sentence for one reason or cause of that event.
    events: Mapping[str, EventText] = field(default_factory=dict)
    #: Delivery template without an event → title and body. Fields: ``{code}``.
    templates: Titled = field(default_factory=dict)
    #: Words that other texts insert, such as ``decline.TOO_FAR``.
    terms: Mapping[str, str] = field(default_factory=dict)
    #: Labels, buttons and sentences of e-mails, and (``page.…``) of the pages that their links open.
    emails: Mapping[str, str] = field(default_factory=dict)
    #: Texts with a number ``{n}``: plural category → text.
    counted: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    #: Error code → title, and a sentence that may use the error's fields.
    errors: Titled = field(default_factory=dict)
    #: Problem of one input field → the rest of a sentence that begins with the field's path.
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Formats:
    """How a language writes instants and quotations, and what it calls a person whose name is unknown."""

    code: str
    #: CLDR date patterns: a notification's day and time, an e-mail's day, its time, a timeline's day and time.
    moment_pattern: str
    day_pattern: str
    time_pattern: str
    timeline_pattern: str
    #: With ``{}``.
    quoted: str
    someone: str


def collect(texts: Iterable[NounTexts]) -> NounTexts:
    """Merge the texts of several nouns. Raises: AssertionError if a key is defined twice."""
    merged: dict[str, dict[str, Any]] = {section.name: {} for section in fields(NounTexts)}
    for noun in texts:
        for section, found in merged.items():
            own = getattr(noun, section)
            twice = found.keys() & own.keys()
            assert not twice, f"{section} has two texts for {', '.join(sorted(twice))}"
            found.update(own)
    return NounTexts(**merged)


def load(package: ModuleType) -> NounTexts:
    """Import each noun's module of a language and merge their ``TEXTS``."""
    names = sorted(module.name for module in iter_modules(package.__path__))
    return collect(import_module(f"{package.__name__}.{name}").TEXTS for name in names)
