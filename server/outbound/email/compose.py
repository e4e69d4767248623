"""Writes the letters of deliveries, each in its reader's language."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

from protocol.ids import BookingId
from server.links.tokens import Links
from server.outbound.adapters import Needless
from server.outbound.briefing import Brief
from server.outbound.email.content import CODES, Content, Writer, about_booking, name_of
from server.outbound.email.letter import Email
from server.outbound.email.render import render
from server.words.letters import letter_words
from storage.database import Pool
from storage.queries.occasion import Occasion, load_occasions


class Letters:
    """Writes letters.

    Args:
        now: the domain's clock.
        brand: how this installation is called.
    """

    def __init__(self, pool: Pool, links: Links, now: Callable[[], datetime], brand: str) -> None:
        self._pool = pool
        self._now = now
        self._brand = brand
        self._writer = Writer(links.url_of, brand)

    async def prepare(self, briefs: Sequence[Brief]) -> Callable[[Brief], Email | Needless]:
        """Read what letters about these need besides; gives what writes them."""
        ids = [booking_id for one in briefs if (booking_id := about_booking(one)) is not None]
        return partial(self._letter, await load_occasions(self._pool, ids) if ids else {})

    def _letter(self, occasions: Mapping[BookingId, Occasion], one: Brief) -> Email | Needless:
        content = self._content(one, occasions)
        if content is None:
            return Needless("nothing_to_tell")
        looks = render(content, letter_words(one.language.code), self._brand)
        coded = content.layout == "code"
        return Email(
            id=one.delivery.id,
            to=one.delivery.address or one.reader.email,
            to_name="" if coded else name_of(one),
            subject=content.subject,
            text=looks.text,
            html=looks.html,
            unsubscribe_url=content.unsubscribe_url,
        )

    def _content(self, one: Brief, occasions: Mapping[BookingId, Occasion]) -> Content | None:
        if one.delivery.template in CODES:
            return None if one.delivery.secret is None else self._writer.code(one)
        if one.digest is not None:
            return self._writer.digest(one)
        if not one.title:
            return None
        booking_id = about_booking(one)
        occasion = None if booking_id is None else occasions.get(booking_id)
        return self._writer.notice(one, occasion, self._now())
