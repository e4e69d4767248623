"""What people read of a notification, by language. A text that a language lacks falls back to English.

A text may hold ``{title}``, ``{number}`` and ``{starts_at}`` of the booking, ``{customer}`` and ``{staff}``, ``{by}``
for whoever did it, ``{amount}`` and ``{device}``. Dates and amounts are written as the language writes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from babel.dates import format_datetime
from babel.numbers import format_currency

from protocol.instants import zone_info
from protocol.money import Money, to_major
from server.words import de, en, it


class Words(NamedTuple):
    """One notification's words."""

    title: str
    body: str


class DigestWords(NamedTuple):
    """The words around a digest's items."""

    title: str
    opening: str
    #: With ``{count}``.
    more: str


@dataclass(frozen=True, slots=True)
class Language:
    """How one language says things."""

    code: str
    #: type of notification → title, body.
    texts: Mapping[str, tuple[str, str]]
    #: A day and a time, in CLDR's pattern letters.
    moment_pattern: str
    somebody: str
    digest: DigestWords

    def words(self, name: str) -> Words:
        """The words for a type of notification, with their braces; a type without any is called by its name."""
        return Words(*(self.texts.get(name) or en.TEXTS.get(name) or (name, "")))

    def moment(self, at: datetime, zone: str) -> str:
        """An instant on the wall clocks of a zone."""
        return format_datetime(at, self.moment_pattern, tzinfo=zone_info(zone), locale=self.code)

    def amount(self, money: Money) -> str:
        """An amount with its currency."""
        return format_currency(to_major(money), money.currency, locale=self.code)


LANGUAGES: Mapping[str, Language] = {
    code: Language(code, spoken.TEXTS, spoken.MOMENT, spoken.SOMEBODY, DigestWords(*spoken.DIGEST))
    for code, spoken in (("en", en), ("de", de), ("it", it))
}
FALLBACK = LANGUAGES["en"]


def language(tag: str) -> Language:
    """The language of a tag such as ``de`` or ``de-AT``; English for one that there are no texts in."""
    return LANGUAGES.get(tag[:2], FALLBACK)
