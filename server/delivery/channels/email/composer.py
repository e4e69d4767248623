"""Composes the e-mails of deliveries, each in its reader's language."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

from protocol.ids import BookingId
from server.delivery.adapters import Suppressed
from server.delivery.channels.email.content import CODES, EmailContent, EmailWriter, booking_of, name_of
from server.delivery.channels.email.mime import Email
from server.delivery.channels.email.render import render
from server.delivery.context import DeliveryContext
from server.links.tokens import Links
from storage.database import Pool
from storage.queries.booking_email import BookingEmailView, load_booking_email_views


class EmailComposer:
    """Composes e-mails.

    Args:
        now: the domain's clock.
        brand: the installation's name.
    """

    def __init__(self, pool: Pool, links: Links, now: Callable[[], datetime], brand: str) -> None:
        self._pool = pool
        self._now = now
        self._brand = brand
        self._writer = EmailWriter(links.url_of, brand)

    async def prepare(self, contexts: Sequence[DeliveryContext]) -> Callable[[DeliveryContext], Email | Suppressed]:
        """Load the bookings that these e-mails show; returns the function that composes an e-mail."""
        ids = [booking_id for one in contexts if (booking_id := booking_of(one)) is not None]
        return partial(self._email, await load_booking_email_views(self._pool, ids) if ids else {})

    def _email(self, bookings: Mapping[BookingId, BookingEmailView], context: DeliveryContext) -> Email | Suppressed:
        content = self._content(context, bookings)
        if content is None:
            return Suppressed("nothing_to_tell")
        rendered = render(content, context.language, self._brand)
        return Email(
            id=context.delivery.id,
            to=context.delivery.address or context.reader.email,
            to_name="" if content.layout == "code" else name_of(context),
            subject=content.subject,
            text=rendered.text,
            html=rendered.html,
            unsubscribe_url=content.unsubscribe_url,
        )

    def _content(self, context: DeliveryContext, bookings: Mapping[BookingId, BookingEmailView]) -> EmailContent | None:
        if context.delivery.template in CODES:
            return None if context.delivery.secret is None else self._writer.code(context)
        if context.digest is not None:
            return self._writer.digest(context)
        if not context.title:
            return None
        booking_id = booking_of(context)
        booking = None if booking_id is None else bookings.get(booking_id)
        return self._writer.notice(context, booking, self._now())
