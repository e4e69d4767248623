"""The languages that people read: their texts, and how they write instants, amounts and numbers."""

import re
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from typing import NamedTuple

from babel import Locale
from babel.dates import format_date, format_datetime, format_time, get_timezone_location
from babel.numbers import NumberPattern, format_decimal

from protocol.instants import zone_info
from protocol.money import MINOR_DIGITS, Money, to_major
from server.words import de, en, it
from server.words.texts import Formats, NounTexts, load

#: Languages of an Accept-Language header that are considered.
ACCEPTED_MAX = 16

#: The weight of a language, by RFC 9110 §12.4.2.
_WEIGHT = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")

_FALLBACK = load(en)


class Text(NamedTuple):
    """A title and a sentence."""

    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Language:
    """One language. A text that it lacks is the English one."""

    formats: Formats
    texts: NounTexts

    @property
    def code(self) -> str:
        """Its ISO 639 code, such as ``de``."""
        return self.formats.code

    def notification(self, name: str) -> Text:
        """Title and body of a notification type or delivery template, with their braces; of an unknown one its name."""
        for texts in (self.texts, _FALLBACK):
            event = texts.events.get(name)
            if event is not None and event.title is not None:
                return Text(event.title, event.body or "")
            if (template := texts.templates.get(name)) is not None:
                return Text(*template)
        return Text(name, "")

    def timeline(self, event_type: str, code: object = None) -> str:
        """The sentence for an event, with its braces; a reason or cause ``code`` may have its own sentence."""
        for texts in (self.texts, _FALLBACK):
            for name in (f"{event_type}:{code}", event_type):
                event = texts.events.get(name)
                if event is not None and event.timeline is not None:
                    return event.timeline
        return self.term("unknown_event")

    def term(self, name: str) -> str:
        """A word that other texts insert."""
        return self.texts.terms.get(name) or _FALLBACK.terms[name]

    def say(self, name: str, /, **fields: str) -> str:
        """A text of an e-mail or of a link's page, with its braces filled."""
        text = self.texts.emails.get(name) or _FALLBACK.emails[name]
        return text.format(**fields) if fields else text

    def count(self, name: str, number: int) -> str:
        """A text in the plural form that goes with a number."""
        forms = self.texts.counted.get(name)
        code = self.code if forms else ENGLISH.code
        forms = forms or _FALLBACK.counted[name]
        form = forms.get(Locale.parse(code).plural_form(number)) or forms["other"]
        return form.format(n=format_decimal(number, locale=code))

    def error(self, code: str) -> Text:
        """Title and sentence for an error code, with their braces."""
        found = self.texts.errors.get(code) or _FALLBACK.errors.get(code)
        return self.error("rejected") if found is None else Text(*found)

    def problem(self, path: str, problem: str) -> str:
        """What is wrong with one input field."""
        found = self.texts.problems.get(problem) or _FALLBACK.problems.get(problem)
        return f"{self.formats.quoted.format(path)} {found or self.term('unknown_problem').format(problem=problem)}"

    def amount(self, money: Money) -> str:
        """An amount with its currency's sign, digits grouped, and all digits that the currency has by ISO 4217."""
        pattern = _currency_pattern(self.code, MINOR_DIGITS[money.currency])
        text: str = pattern.apply(to_major(money), self.code, currency=money.currency, currency_digits=False)
        return text

    def plain_amount(self, money: Money) -> str:
        """An amount with its currency's code, digits not grouped: ``1234.50 EUR``."""
        major = to_major(money)
        decimals = -int(major.as_tuple().exponent)
        pattern = f"0.{'0' * decimals}" if decimals > 0 else "0"
        return f"{format_decimal(major, format=pattern, locale=self.code)} {money.currency}"

    def moment(self, at: datetime, zone: str) -> str:
        """A day and a time in a zone, as notifications say it."""
        return format_datetime(at, self.formats.moment_pattern, tzinfo=zone_info(zone), locale=self.code)

    def moment_for(self, at: datetime, zone: str, reader_zone: str) -> str:
        """A day and a time in a zone, with its city if the reader's clock shows another time."""
        text = self.moment(at, zone)
        same = at.astimezone(zone_info(zone)).utcoffset() == at.astimezone(zone_info(reader_zone)).utcoffset()
        return text if same else f"{text} ({self._place(zone)})"

    def timeline_moment(self, at: datetime, zone: str) -> str:
        """A day with its year, a time and the zone's abbreviation: ``Mon 2 March 2026, 15:00 CET``."""
        clock = zone_info(zone)
        day = format_datetime(at, self.formats.timeline_pattern, tzinfo=clock, locale=self.code)
        return f"{day} {at.astimezone(clock):%Z}"

    def long_moment(self, at: datetime, zone: str) -> str:
        """A day in full, a time and the zone's city, as e-mails say it."""
        local = at.astimezone(zone_info(zone))
        return f"{self.day(local)}, {self._time(local)} ({self._place(zone)})"

    def span(self, starts_at: datetime, ends_at: datetime, zone: str) -> str:
        """From an instant until another in a zone; the second day is left out if it is the first."""
        clock = zone_info(zone)
        begins, ends = starts_at.astimezone(clock), ends_at.astimezone(clock)
        until = self._time(ends) if ends.date() == begins.date() else f"{self.day(ends)}, {self._time(ends)}"
        return f"{self.day(begins)}, {self._time(begins)}\N{NO-BREAK SPACE}– {until} ({self._place(zone)})"

    def day(self, at: datetime) -> str:
        """A day in full."""
        return format_date(at, self.formats.day_pattern, locale=self.code)

    def _time(self, local: datetime) -> str:
        return format_time(local, self.formats.time_pattern, tzinfo=local.tzinfo, locale=self.code)

    def _place(self, zone: str) -> str:
        """A zone's city, which says more than its abbreviation."""
        return get_timezone_location(zone_info(zone), locale=self.code, return_city=True)


ENGLISH = Language(en.FORMATS, _FALLBACK)
LANGUAGES: Mapping[str, Language] = {
    one.code: one for one in (ENGLISH, Language(de.FORMATS, load(de)), Language(it.FORMATS, load(it)))
}


def language(tag: str) -> Language:
    """The language of a tag such as ``de`` or ``de-AT``; English if there are no texts in it."""
    return LANGUAGES.get(tag.partition("-")[0].lower(), ENGLISH)


def language_of(accept_language: str | None) -> str:
    """The code of the best known language in an Accept-Language header; English's if there is none."""
    return _best(accept_language) if accept_language else ENGLISH.code


@cache
def _currency_pattern(code: str, digits: int) -> NumberPattern:
    """A language's pattern of amounts with that many decimals; CLDR rounds many currencies to whole units."""
    pattern: NumberPattern = copy(Locale.parse(code).currency_formats["standard"])
    pattern.frac_prec = (digits, digits)
    return pattern


@lru_cache(maxsize=256)
def _best(accept_language: str) -> str:
    accepted: list[tuple[float, str]] = []
    for item in accept_language.split(",")[:ACCEPTED_MAX]:
        tag, _, parameter = item.partition(";")
        name, _, weight = parameter.partition("=")
        if parameter.strip() and (name.strip().lower() != "q" or not _WEIGHT.fullmatch(weight.strip())):
            continue
        quality = float(weight) if parameter.strip() else 1.0
        if quality > 0:  # 0: not this one
            accepted.append((-quality, tag.strip().partition("-")[0].lower()))
    ordered = sorted(accepted, key=lambda item: item[0])
    return next((tag for _, tag in ordered if tag in LANGUAGES), ENGLISH.code)
