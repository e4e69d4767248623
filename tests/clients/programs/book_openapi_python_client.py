# mypy: ignore-errors
"""Sign in, find a slot, book, pay at the sandbox, cancel: with openapi-python-client."""

import sys
import time
import urllib.request

from openapi_python_client_made import AuthenticatedClient, Client
from openapi_python_client_made.api.auth import auth_sign_in
from openapi_python_client_made.api.booking import booking_cancel, booking_create, booking_get, booking_pay
from openapi_python_client_made.api.service import service_list, service_slots
from openapi_python_client_made.models import (
    BookingDetail,
    BookingReply,
    CancelBookingBody,
    CreateBooking,
    PaymentReply,
    ServicePage,
    SignIn,
    SlotsView,
    Tokens,
)

url = sys.argv[1]
public = Client(base_url=url)
signed_in = auth_sign_in.sync(
    client=public, body=SignIn(email="customer@demo.guildwire.test", password="guild-wire-demo")
)
assert isinstance(signed_in, Tokens), signed_in
client = AuthenticatedClient(base_url=url, token=signed_in.access_token)

page = service_list.sync(client=client, limit=1)
assert isinstance(page, ServicePage), page
slots = service_slots.sync(page.items[0].id, client=client)
assert isinstance(slots, SlotsView), slots
wanted = CreateBooking(service_id=page.items[0].id, start_at=slots.slots[0].start_at)
booked = booking_create.sync(client=client, body=wanted, idempotency_key="openapi-python-client")
assert isinstance(booked, BookingReply), booked
assert booked.total_amount > 0

payment = booking_pay.sync(booked.booking_id, client=client)
assert isinstance(payment, PaymentReply), payment
urllib.request.urlopen(urllib.request.Request(f"{url}{payment.checkout_path}/pay", method="POST")).close()
for _ in range(100):
    booking = booking_get.sync(booked.booking_id, client=client)
    assert isinstance(booking, BookingDetail), booking
    if booking.payment_status == "SECURED":
        break
    time.sleep(0.1)
assert booking.payment_status == "SECURED"

cancelled = booking_cancel.sync(booked.booking_id, client=client, body=CancelBookingBody())
assert isinstance(cancelled, BookingReply), cancelled
assert cancelled.status == "CANCELLED"
refused = booking_cancel.sync(booked.booking_id, client=client, body=CancelBookingBody())
assert refused.status == 409, refused
print(f"booked, paid and cancelled {booked.number}: {booked.total_amount} {booked.currency}")
