"""E-mails about a service whose title, business and place a stranger chose: no program makes a link of them."""

from dataclasses import replace

from msgspec.structs import replace as changed

from protocol.booking.events import BookingCompleted, BookingConfirmed
from protocol.events import Event
from server.delivery.channels.email.render import render
from server.words.languages import language
from tests.support import email_samples
from tests.support.email_samples import BOOKING, BOOKING_VIEW, BRAND, CARLA, CONTEXT, EMAIL_WRITER, NAMES, NOW, STAFF

BAIT = "Your account is locked - confirm at https://evil.example/login or help@evil.example"


def test_an_email_has_no_link_that_a_stranger_wrote() -> None:
    booking = changed(BOOKING_VIEW, title=BAIT, business=BAIT, staff=BAIT, address=BAIT)
    notifications = replace(
        CONTEXT,
        bookings={BOOKING: changed(CONTEXT.bookings[BOOKING], title=BAIT)},
        names={**NAMES, STAFF: BAIT},
    )
    events: tuple[Event, ...] = (BookingConfirmed(), BookingCompleted(at=NOW, release_at=NOW.replace(year=2027)))
    for event in events:
        context = replace(email_samples.context_of("en", CARLA, event), notification_context=notifications)

        html, text = render(EMAIL_WRITER.notice(context, booking, NOW), language("en"), BRAND)

        for part in (html, text):
            assert "Your account is locked" in part
            assert "https://evil" not in part
            assert "evil.example" not in part
