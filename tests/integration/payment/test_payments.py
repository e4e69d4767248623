"""Payments through a real gateway over real HTTP: webhooks doubled, late, forged and out of order (rule W-12)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from time import time
from typing import Any
from uuid import uuid4

import pytest

from protocol.booking.commands import ApproveBooking, CancelBooking
from protocol.booking.events import PaymentReturned
from protocol.business.commands import BlockCustomer, RemoveMember, SetOpeningHours, UpdateBusiness
from protocol.business.terms import Week
from protocol.errors import Busy, Fault, InFlight
from protocol.registry import Command
from protocol.service.commands import DeactivateService, SetServiceStaff
from server.payments.sandbox.wire import SIGNATURE_HEADER, WEBHOOK_PATH
from server.payments.signature import TOLERANCE_S, sign
from server.payments.webhooks import WEBHOOK_BYTES_MAX
from storage.database import Pool
from tests.support.payment_site import SECRETS, TIMEOUT_S, PaymentSite, open_payment_site
from tests.support.sample_business import MONDAY, WEEK, SampleBusiness

#: After which of these nobody could book the time any more.
CHANGES: dict[str, Callable[[SampleBusiness], Command]] = {
    "member removed": lambda salon: RemoveMember(business_id=salon.business_id, user_id=salon.sam.user_id),
    "service inactive": lambda salon: DeactivateService(service_id=salon.cut),
    "not their service": lambda salon: SetServiceStaff(service_id=salon.cut, staff_ids=(salon.stela.user_id,)),
    "business inactive": lambda salon: UpdateBusiness(business_id=salon.business_id, is_active=False),
    "day closed": lambda salon: SetOpeningHours(
        business_id=salon.business_id, hours=Week(week=WEEK.week, closed_dates=(MONDAY,))
    ),
    "customer blocked": lambda salon: BlockCustomer(business_id=salon.business_id, customer_id=salon.customer.user_id),
}


@pytest.fixture
async def site(database_dsn: str, pool: Pool, tmp_path: Path) -> AsyncIterator[PaymentSite]:
    async with open_payment_site(database_dsn, pool, tmp_path) as site:
        yield site


class TestCheckout:
    async def test_the_page_says_what_is_paid_to_whom(self, site: PaymentSite) -> None:
        reply = await site.asked_to_pay(await site.book())

        page = await site.http.send("GET", reply.checkout_path)

        text = page.body.decode()
        assert page.status == 200
        for said in ("50.00", "EUR", "Salon Olga", "Cut", 'type="submit"', "width=device-width"):
            assert said in text
        assert "script" not in text
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        css = (await site.http.send("GET", "/gateway/checkout.css")).body.decode()
        assert "#1A237E" in css
        assert "#FFB74D" in css

    async def test_what_others_wrote_is_shown_as_text(self, site: PaymentSite) -> None:
        reply = await site.asked_to_pay(await site.book())
        await site.salon.pool.execute("UPDATE businesses SET name = '<script>alert(1)</script>'")
        await site.salon.pool.execute("UPDATE payments SET title = '\"><img src=x>'")

        page = (await site.http.send("GET", reply.checkout_path)).body.decode()

        assert "<script" not in page
        assert "<img" not in page
        assert "&lt;script&gt;alert(1)" in page
        assert "&lt;img src=x&gt;" in page

    @pytest.mark.parametrize("payment", ["01a1fd00-0000-7000-8000-000000000000", "nonsense"])
    @pytest.mark.parametrize(("method", "suffix"), [("GET", ""), ("POST", "/pay")])
    async def test_a_payment_that_never_was_has_no_page(
        self, site: PaymentSite, payment: str, method: str, suffix: str
    ) -> None:
        answer = await site.http.send(method, f"/gateway/checkout/{payment}{suffix}")

        assert answer.status == 404

    async def test_after_paying_the_page_says_so_and_has_no_button(self, site: PaymentSite) -> None:
        booking_id = await site.book()
        answer = await site.pay(booking_id)
        await site.at_rest()

        page = (await site.http.send("GET", answer.headers["Location"])).body.decode()

        assert answer.status == 303
        assert "Thank you" in page
        assert 'type="submit"' not in page

    @pytest.mark.parametrize(
        ("return_to", "goes_to"),
        [
            ("/app/bookings?x=1", "/app/bookings?x=1"),
            ("https://evil.test/", None),
            ("//evil.test/", None),
            ("/\\evil.test", None),
            ("/a\r\nSet-Cookie: x=1", None),
            ("/" + "a" * 600, None),
        ],
    )
    async def test_the_way_back_stays_on_this_server(
        self, site: PaymentSite, return_to: str, goes_to: str | None
    ) -> None:
        answer = await site.pay(await site.book(), return_to=return_to)

        assert answer.headers["Location"] == goes_to or answer.headers["Location"].startswith("/gateway/checkout/")
        assert (answer.headers["Location"] == goes_to) == (goes_to is not None)


class TestPaying:
    async def test_paying_secures_the_booking_and_the_approval_confirms_it(self, site: PaymentSite) -> None:
        booking_id = await site.book()

        await site.pay(booking_id)
        await site.at_rest()

        assert await site.status(booking_id) == ("PENDING", "SECURED")
        assert await site.moved() == [("payment_captured", 5_000), ("payment_placed", 5_000)]
        await site.salon.do(ApproveBooking(booking_id=booking_id), site.salon.sam)
        assert await site.status(booking_id) == ("CONFIRMED", "SECURED")

    @pytest.mark.parametrize("options", ["?twice=1", "?slow=1", "?out_of_order=1", "?twice=1&slow=1&out_of_order=1"])
    async def test_however_the_gateway_tells_it_it_counts_once(self, site: PaymentSite, options: str) -> None:
        booking_id = await site.book()

        await site.pay(booking_id, options)
        await site.at_rest()

        assert await site.status(booking_id) == ("PENDING", "SECURED")
        assert await site.moved() == [("payment_captured", 5_000), ("payment_placed", 5_000)]
        kept = [("payment.authorized", "unknown_type")] if "out_of_order" in options else []
        assert await site.odd() == kept

    async def test_options_may_come_by_the_form_too(self, site: PaymentSite) -> None:
        await site.pay(await site.book(), out_of_order="on", whatever="else")
        await site.at_rest()

        assert await site.odd() == [("payment.authorized", "unknown_type")]

    async def test_paying_twice_on_the_page_counts_once(self, site: PaymentSite) -> None:
        reply = await site.asked_to_pay(await site.book())
        await asyncio.gather(*[site.http.send("POST", f"{reply.checkout_path}/pay") for _ in range(5)])
        await site.at_rest()
        await site.http.send("POST", f"{reply.checkout_path}/pay")
        await site.at_rest()

        assert await site.moved() == [("payment_captured", 5_000), ("payment_placed", 5_000)]

    async def test_a_late_payment_revives_the_booking_if_its_time_is_free(self, site: PaymentSite) -> None:
        booking_id = await site.book()
        await site.pay(booking_id, "?late=1")
        assert await site.status(booking_id) == ("PENDING", "UNPAID")

        await site.salon.node.advance(timedelta(minutes=17))
        await site.at_rest()

        assert await site.status(booking_id) == ("PENDING", "SECURED")
        types = [one.emitted.event.type for one in site.heard if one.seqs]
        assert types[-3:] == ["booking.expired", "booking.revived", "booking.paid"]
        slots = await site.salon.pool.fetch("SELECT subject_id FROM slots")
        assert [row["subject_id"] for row in slots] == [booking_id]

    async def test_a_late_payment_whose_time_is_taken_goes_back_to_its_source(self, site: PaymentSite) -> None:
        late = await site.book("09:00")
        about = await site.about(late)
        await site.salon.node.advance(timedelta(minutes=15))
        await site.book("09:30")

        await site.send_webhook(data=about)
        await site.wait_for(PaymentReturned)

        assert await site.status(late) == ("EXPIRED", "REFUNDED")
        assert await site.moved() == [("payment_captured", 5_000), ("payment_returned", 5_000)]
        assert await site.salon.pool.fetchval("SELECT status FROM payments") == "REFUNDED"

    @pytest.mark.parametrize("what", sorted(CHANGES))
    async def test_a_late_payment_of_what_could_not_be_booked_now_goes_back_to_its_source(
        self, site: PaymentSite, what: str
    ) -> None:
        salon = site.salon
        late = await site.book("09:00")
        about = await site.about(late)
        await salon.node.advance(timedelta(minutes=15))
        changed = await salon.do(CHANGES[what](salon))
        assert changed.error is None, changed.error

        await site.send_webhook(data=about)
        await site.wait_for(PaymentReturned)

        assert await site.status(late) == ("EXPIRED", "REFUNDED")
        assert await site.moved() == [("payment_captured", 5_000), ("payment_returned", 5_000)]
        assert await salon.pool.fetchval("SELECT count(*) FROM slots") == 0

    async def test_a_longer_lead_time_does_not_keep_a_late_payment_out(self, site: PaymentSite) -> None:
        late = await site.book("09:00")
        about = await site.about(late)
        await site.salon.node.advance(timedelta(minutes=15))
        lead_time = UpdateBusiness(business_id=site.salon.business_id, lead_time_minutes=7 * 24 * 60)
        assert (await site.salon.do(lead_time)).error is None

        await site.send_webhook(data=about)
        await site.at_rest()

        assert await site.status(late) == ("PENDING", "SECURED")

    async def test_a_payment_after_the_cancellation_goes_back_to_its_source(self, site: PaymentSite) -> None:
        booking_id = await site.book()
        about = await site.about(booking_id)
        await site.salon.do(CancelBooking(booking_id=booking_id), site.salon.customer)

        await site.send_webhook(data=about)
        await site.wait_for(PaymentReturned)

        assert await site.status(booking_id) == ("CANCELLED", "REFUNDED")

    async def test_a_wrong_amount_goes_back_in_its_own_currency(self, site: PaymentSite) -> None:
        booking_id = await site.book()

        await site.send_webhook(data=await site.about(booking_id, 6_000, "JPY"))
        await site.wait_for(PaymentReturned)

        assert await site.moved() == [("payment_captured", 6_000), ("payment_returned", 6_000)]
        assert await site.salon.pool.fetchval("SELECT currency FROM payments") == "JPY"


class TestWebhooks:
    async def test_two_hundred_means_that_it_is_durable(self, site: PaymentSite) -> None:
        booking_id = await site.book()

        answer = await site.send_webhook(data=await site.about(booking_id))

        assert (answer.status, answer.json) == (200, {"received": True})
        assert await site.salon.pool.fetchval("SELECT status FROM payments") == "CAPTURED"
        await site.at_rest()
        assert await site.status(booking_id) == ("PENDING", "SECURED")

    async def test_many_at_once_are_one(self, site: PaymentSite) -> None:
        about = await site.about(await site.book())

        same = [site.send_webhook(id="evt_same", data=about) for _ in range(12)]
        others = [site.send_webhook(data=about) for _ in range(50)]
        answers = await asyncio.gather(*same, *others)
        await site.at_rest()

        assert {answer.status for answer in answers} == {200}
        assert await site.moved() == [("payment_captured", 5_000), ("payment_placed", 5_000)]
        assert await site.odd() == []

    async def test_payment_and_expiry_at_once_leave_one_of_two_clean_ends(self, site: PaymentSite) -> None:
        booking_id = await site.book()
        about = await site.about(booking_id)

        await asyncio.gather(site.send_webhook(data=about), site.salon.node.advance(timedelta(minutes=15)))
        await site.at_rest()

        assert await site.status(booking_id) == ("PENDING", "SECURED")
        assert await site.moved() == [("payment_captured", 5_000), ("payment_placed", 5_000)]
        assert await site.salon.pool.fetchval("SELECT count(*) FROM slots") == 1

    @pytest.mark.parametrize("secret", SECRETS)
    async def test_both_secrets_hold_while_they_rotate(self, site: PaymentSite, secret: str) -> None:
        answer = await site.send_webhook(data=await site.about(await site.book()), secret=secret)

        assert answer.status == 200
        assert await site.moved()

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"secret": "whsec_other"}, "mismatch"),
            ({"skew_s": -TOLERANCE_S - 5}, "too_old"),
            ({"headers": {SIGNATURE_HEADER: ""}}, "missing"),
            ({"headers": {SIGNATURE_HEADER: "t=1"}}, "malformed"),
        ],
    )
    async def test_what_the_gateway_did_not_sign_lately_changes_nothing(
        self, site: PaymentSite, changes: dict[str, Any], reason: str
    ) -> None:
        booking_id = await site.book()

        answer = await site.send_webhook(data=await site.about(booking_id), **changes)

        assert answer.status == 400
        assert (answer.problem["code"], answer.problem["fields"]["reason"]) == ("signature_invalid", reason)
        assert await site.status(booking_id) == ("PENDING", "UNPAID")
        assert await site.odd() == []

    @pytest.mark.parametrize(
        "announced",
        [
            f"Content-Length: {WEBHOOK_BYTES_MAX + 1}\r\n\r\n",
            "Content-Length: 10000000\r\n\r\n",
            f"Transfer-Encoding: chunked\r\n\r\n{WEBHOOK_BYTES_MAX + 1:x}\r\n{'x' * (WEBHOOK_BYTES_MAX + 1)}\r\n",
        ],
        ids=["a byte too much", "10 MB", "of unknown length"],
    )
    async def test_a_body_that_is_too_large_is_refused_before_it_is_whole(
        self, site: PaymentSite, announced: str
    ) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.http.port)
        try:
            writer.write(f"POST {WEBHOOK_PATH} HTTP/1.1\r\nHost: localhost\r\n{announced}".encode())
            async with asyncio.timeout(TIMEOUT_S):
                status = await reader.readline()
        finally:
            writer.close()

        assert status.split()[1] == b"413"

    async def test_an_unknown_type_is_taken_and_kept_once(self, site: PaymentSite) -> None:
        for _ in range(2):
            assert (await site.send_webhook(id="evt_1", type="customer.updated", data={"name": "Zoë \0"})).status == 200

        assert await site.odd() == [("customer.updated", "unknown_type")]

    @pytest.mark.parametrize(
        "data",
        [
            None,
            {"payment_id": "nonsense", "amount": 5, "currency": "EUR"},
            {"payment_id": str(uuid4()), "amount": 0, "currency": "EUR"},
            {"payment_id": str(uuid4()), "amount": -5, "currency": "EUR"},
            {"payment_id": str(uuid4()), "amount": 10**18, "currency": "EUR"},
            {"payment_id": str(uuid4()), "amount": 5, "currency": "XXX"},
            {"payment_id": str(uuid4()), "amount": 5.5, "currency": "EUR"},
        ],
    )
    async def test_a_known_type_with_odd_content_is_taken_and_kept(self, site: PaymentSite, data: Any) -> None:
        assert (await site.send_webhook(data=data)).status == 200

        assert await site.odd() == [("payment.captured", "malformed")]

    async def test_a_payment_that_is_none_of_ours_is_taken_and_kept(self, site: PaymentSite) -> None:
        about = {"payment_id": str(uuid4()), "amount": 5_000, "currency": "EUR"}

        assert (await site.send_webhook(data=about)).status == 200

        assert await site.odd() == [("payment.captured", "unknown_payment")]

    @pytest.mark.parametrize(
        "body", [b"", b"nonsense", b"[]", b"{}", b'{"id":"a b","type":"x"}', b"\xff\xfe", b"[" * 9000]
    )
    async def test_what_is_no_event_at_all_is_malformed(self, site: PaymentSite, body: bytes) -> None:
        signature = {SIGNATURE_HEADER: sign(body, SECRETS[0], int(time()))}

        answer = await site.http.send("POST", WEBHOOK_PATH, data=body, headers=signature)

        assert (answer.status, answer.problem["code"]) == (400, "malformed")

    async def test_an_event_id_that_comes_with_other_content_is_kept(self, site: PaymentSite) -> None:
        about = await site.about(await site.book())
        await site.send_webhook(id="evt_1", data=about)

        answer = await site.send_webhook(id="evt_1", data={**about, "amount": 1})

        assert answer.status == 200
        assert await site.odd() == [("payment.captured", "command_id_reused")]

    @pytest.mark.parametrize("fault", [Busy(queue="mailbox", retry_after_s=1.0), InFlight(id="x", retry_after_s=1.0)])
    async def test_a_fault_asks_the_gateway_to_come_again(self, site: PaymentSite, fault: Fault) -> None:
        booking_id = await site.book()
        about = await site.about(booking_id)
        site.runtime.faults = [fault]

        first = await site.send_webhook(id="evt_1", data=about)
        again = await site.send_webhook(id="evt_1", data=about)

        assert (first.status, again.status) == (503, 200)
        assert "Retry-After" in first.headers
        await site.at_rest()
        assert await site.status(booking_id) == ("PENDING", "SECURED")

    async def test_the_gateway_comes_again_by_itself(self, site: PaymentSite) -> None:
        booking_id = await site.book()
        site.runtime.faults = [Busy(queue="mailbox", retry_after_s=1.0) for _ in range(3)]

        await site.pay(booking_id)
        await site.at_rest()

        assert site.runtime.faults == []
        assert await site.status(booking_id) == ("PENDING", "SECURED")
