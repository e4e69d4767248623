"""Writes the letters of deliveries, each in its reader's language."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

from protocol.ids import BookingId
from server.delivery.adapters import Suppressed
from server.delivery.channels.email.content import CODES, Content, Writer, about_booking, name_of
from server.delivery.channels.email.mime import Email
from server.delivery.channels.email.render import render
from server.delivery.context import DeliveryContext
from server.links.tokens import Links
from storage.database import Pool
from storage.queries.booking_email import BookingEmailView, load_booking_email_views


class EmailComposer:
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

    async def prepare(self, briefs: Sequence[DeliveryContext]) -> Callable[[DeliveryContext], Email | Suppressed]:
        """Read what letters about these need besides; gives what writes them."""
        ids = [booking_id for one in briefs if (booking_id := about_booking(one)) is not None]
        return partial(self._letter, await load_booking_email_views(self._pool, ids) if ids else {})

    def _letter(self, occasions: Mapping[BookingId, BookingEmailView], one: DeliveryContext) -> Email | Suppressed:
        content = self._content(one, occasions)
        if content is None:
            return Suppressed("nothing_to_tell")
        looks = render(content, one.language, self._brand)
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

    def _content(self, one: DeliveryContext, occasions: Mapping[BookingId, BookingEmailView]) -> Content | None:
        if one.delivery.template in CODES:
            return None if one.delivery.secret is None else self._writer.code(one)
        if one.digest is not None:
            return self._writer.digest(one)
        if not one.title:
            return None
        booking_id = about_booking(one)
        occasion = None if booking_id is None else occasions.get(booking_id)
        return self._writer.notice(one, occasion, self._now())
