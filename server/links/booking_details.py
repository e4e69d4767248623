"""The booking's details in e-mails and on the pages behind their links."""

from collections.abc import Iterator

from protocol.money import Money
from server.words.defusing import defused
from server.words.languages import Language
from storage.queries.booking_email import BookingEmailView


def booking_details(booking: BookingEmailView, language: Language, *, for_customer: bool) -> Iterator[tuple[str, str]]:
    """Label and value of each detail, in the reader's language; times are in the booking's zone.

    Only the customer's e-mails show the place: it may be their home, and an e-mail outlives the right to see it.
    Texts that people chose are without links.
    """
    yield language.say("service"), defused(booking.title)
    if booking.staff is not None:
        yield language.say("with"), defused(booking.staff)
    if booking.business:
        yield language.say("business"), defused(booking.business)
    yield language.say("when"), language.span(booking.starts_at, booking.ends_at, booking.zone)
    if for_customer:
        if where := booking.address or booking.city:
            yield language.say("where"), defused(where)
        price = Money(booking.total_amount_minor, booking.currency)
        yield language.say("price"), language.amount(price)
    yield language.say("number"), booking.number
