"""Between a payment's commit and its subject's: the audit knows the money on its way, and a new server takes it on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.actor import ACTORS
from protocol.booking.commands import CancelBooking, ConfirmRelease
from protocol.booking.terms import BookingStatus
from protocol.ids import BookingId
from server.ops.verify import verify
from storage.database import Pool
from storage.offers import OfferCache
from storage.registry import Sources, bound_loaders
from tests.support.jobs import brought_to, done
from tests.support.payment_site import PaymentSite, open_payment_site
from tests.support.runtime import make_runtime

UNALLOCATED = "unallocated money is what was captured, and neither placed nor returned"
ON_ITS_WAY = "a captured payment is placed by its subject, or one of the two has a message on its way"
REVENUE = "a business's revenue counter is the sum of its releases"


@pytest.fixture
async def site(database_dsn: str, pool: Pool, tmp_path: Path) -> AsyncIterator[PaymentSite]:
    async with open_payment_site(database_dsn, pool, tmp_path) as site:
        yield site


async def broken(pool: Pool) -> set[str]:
    """The invariants that do not hold."""
    return {finding.name async for finding in verify(pool, ACTORS) if finding.broken}


def deaf(site: PaymentSite) -> None:
    """From now on the server dies after each commit: what it was to send stays in the agenda."""
    site.salon.node.runtime.send = lambda effect, cause: None


async def another_server(dsn: str, site: PaymentSite) -> None:
    """Let a server that starts now take on what is in the agenda."""
    sources = Sources(pool=site.salon.pool, offers=OfferCache(site.salon.pool))
    async with make_runtime(dsn, site.salon.pool, ACTORS, bound_loaders(sources)) as node:
        await node.advance(site.salon.node.clock.offset)


async def captured(site: PaymentSite, booking_id: BookingId) -> None:
    """A webhook that is answered with 200, after which the server is gone."""
    about = await site.about(booking_id)
    deaf(site)
    assert (await site.send_webhook(data=about)).status == 200
    assert await site.status(booking_id) == ("PENDING", "UNPAID")


async def test_captured_money_that_its_booking_does_not_know_of_is_in_the_books(site: PaymentSite) -> None:
    await captured(site, await site.book())

    assert await site.moved() == [("payment_captured", 5_000)]
    assert await broken(site.salon.pool) == set()


async def test_the_next_server_places_it(site: PaymentSite, database_dsn: str) -> None:
    booking_id = await site.book()
    await captured(site, booking_id)

    await another_server(database_dsn, site)

    assert await site.status(booking_id) == ("PENDING", "SECURED")
    assert await site.moved() == [("payment_captured", 5_000), ("payment_placed", 5_000)]
    assert await broken(site.salon.pool) == set()


async def test_a_payment_that_was_not_opened_before_its_webhook_came_is_captured_all_the_same(
    site: PaymentSite, database_dsn: str
) -> None:
    booking_id = await site.book()
    deaf(site)

    await captured(site, booking_id)

    await another_server(database_dsn, site)
    assert await site.status(booking_id) == ("PENDING", "SECURED")
    events = await site.salon.pool.fetch("SELECT type FROM journal WHERE kind = 'payment' ORDER BY version")
    assert [row["type"] for row in events] == ["payment.opened", "payment.captured"]
    assert await broken(site.salon.pool) == set()


async def test_money_that_its_booking_sends_back_is_in_the_books_and_goes_back(
    site: PaymentSite, database_dsn: str
) -> None:
    booking_id = await site.book()
    about = await site.about(booking_id)
    await site.salon.do(CancelBooking(booking_id=booking_id), site.salon.customer)
    deaf(site)
    await site.send_webhook(data=about)

    await another_server(database_dsn, site)

    assert await site.status(booking_id) == ("CANCELLED", "REFUNDING")
    assert await site.salon.pool.fetchval("SELECT status FROM payments") == "REFUNDING"
    assert await broken(site.salon.pool) == set()


async def test_a_payment_whose_message_is_lost_is_found(site: PaymentSite) -> None:
    await captured(site, await site.book())

    await site.salon.pool.execute("DELETE FROM agenda WHERE command = 'booking.record_payment'")

    assert await broken(site.salon.pool) == {ON_ITS_WAY}


async def test_money_that_no_payment_explains_is_found(site: PaymentSite) -> None:
    await captured(site, await site.book())

    await site.salon.pool.execute("UPDATE payments SET amount_minor = amount_minor + 1")

    assert await broken(site.salon.pool) == {UNALLOCATED}


async def test_a_revenue_counter_that_is_not_the_sum_of_the_releases_is_found(site: PaymentSite) -> None:
    booking_id = await brought_to(site.salon, BookingStatus.COMPLETED)
    await done(site.salon, ConfirmRelease(booking_id=booking_id), site.salon.customer)
    assert await broken(site.salon.pool) == set()

    await site.salon.pool.execute("UPDATE counters SET value = value + 1")

    assert await broken(site.salon.pool) == {REVENUE}
