"""The words of letters, and of the pages that their links open, by language; what one lacks falls back to English.

A text may hold names in braces. Where a number decides about the words, it has a form for each of the language's plural
categories, and the number is ``{n}``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from babel import Locale
from babel.dates import format_date, format_time, get_timezone_location
from babel.numbers import format_decimal

from protocol.instants import zone_info
from server.words.emails import de, en, it

Counted = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EmailWords:
    """How one language writes letters."""

    code: str
    texts: Mapping[str, str]
    #: plural category → text.
    counted: Mapping[str, Counted]
    #: A day and a time of day, in CLDR's pattern letters.
    day_pattern: str
    time_pattern: str

    def say(self, name: str, /, **fields: str) -> str:
        """A text with its braces filled."""
        text = self.texts.get(name) or en.TEXTS[name]
        return text.format(**fields) if fields else text

    def count(self, name: str, number: int) -> str:
        """A text in the form that goes with a number."""
        forms = self.counted.get(name)
        code = self.code if forms else en.CODE
        forms = forms or en.COUNTED[name]
        form = forms.get(Locale.parse(code).plural_form(number)) or forms["other"]
        return form.format(n=format_decimal(number, locale=code))

    def span(self, starts_at: datetime, ends_at: datetime, zone: str) -> str:
        """A day and the time on it, on the wall clocks of a zone."""
        clocks = zone_info(zone)
        begins, ends = starts_at.astimezone(clocks), ends_at.astimezone(clocks)
        times = [format_time(at, self.time_pattern, tzinfo=clocks, locale=self.code) for at in (begins, ends)]
        until = times[1] if ends.date() == begins.date() else f"{self.day(ends)}, {times[1]}"
        return f"{self.day(begins)}, {times[0]}\N{NO-BREAK SPACE}– {until} ({self._place(zone)})"

    def day(self, at: datetime) -> str:
        """A day in full."""
        return format_date(at, self.day_pattern, locale=self.code)

    def moment(self, at: datetime, zone: str) -> str:
        """An instant on the wall clocks of a zone."""
        here = at.astimezone(zone_info(zone))
        time = format_time(here, self.time_pattern, tzinfo=zone_info(zone), locale=self.code)
        return f"{self.day(here)}, {time} ({self._place(zone)})"

    def _place(self, zone: str) -> str:
        """Whose clocks these are: a zone's city, which says more than its abbreviation."""
        return get_timezone_location(zone_info(zone), locale=self.code, return_city=True)


EMAIL_WORDS: Mapping[str, EmailWords] = {
    spoken.CODE: EmailWords(spoken.CODE, spoken.TEXTS, spoken.COUNTED, spoken.DAY, spoken.TIME)
    for spoken in (en, de, it)
}


def email_words(code: str) -> EmailWords:
    """The words of a language; English for one that there are none in."""
    return EMAIL_WORDS.get(code, EMAIL_WORDS[en.CODE])
