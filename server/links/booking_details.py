"""What letters, and the pages behind their links, show of a booking."""

from collections.abc import Iterator

from protocol.money import Money
from server.words.languages import Language
from storage.queries.booking_email import BookingEmailView


def booking_details(occasion: BookingEmailView, words: Language, *, for_customer: bool) -> Iterator[tuple[str, str]]:
    """Label and value of each line, in the reader's language; times are on the booking's own clocks.

    The place may be the customer's home: only they read it in a letter, which stays when the right to see it has gone.
    """
    yield words.say("service"), occasion.title
    if occasion.staff is not None:
        yield words.say("with"), occasion.staff
    if occasion.business:
        yield words.say("business"), occasion.business
    yield words.say("when"), words.span(occasion.starts_at, occasion.ends_at, occasion.zone)
    if for_customer:
        if where := occasion.address or occasion.city:
            yield words.say("where"), where
        price = Money(occasion.total_amount_minor, occasion.currency)
        yield words.say("price"), words.amount(price)
    yield words.say("number"), occasion.number
