"""The demo marketplace: large enough to look around in, always the same, and made only once."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from actors.actor import ACTORS
from actors.rules.hours import Span
from protocol.booking.facts import BookingAsk, BookingFacts
from protocol.roles import Role
from server.app.nouns import import_all
from server.demo.accounts import ADMIN_EMAIL, CUSTOMER_EMAIL, OWNER_EMAIL, STAFF_EMAIL
from server.demo.marketplace import make_marketplace
from server.demo.names import CITIES
from server.demo.plan import CUSTOMERS, make_plan
from server.queries.slots import show_slots
from storage.database import Pool
from storage.offers import OfferCache
from storage.queries.booking_facts import load_booking_facts
from storage.registry import Sources, bound_loaders
from tests.support.runtime import Node, make_runtime

#: Nobody signs in here.
NO_HASH = "no hash of anything"
MONDAY = datetime(2030, 6, 3, tzinfo=UTC)


@pytest.fixture
async def node(database_dsn: str, pool: Pool) -> AsyncIterator[Node]:
    import_all()
    sources = Sources(pool=pool, offers=OfferCache(pool))
    async with make_runtime(database_dsn, pool, ACTORS, bound_loaders(sources)) as node:
        yield node


async def count(pool: Pool, what: str) -> int:
    return int(await pool.fetchval(f"SELECT count(*) FROM {what}"))


async def history(pool: Pool) -> list[tuple[str, int]]:
    """How many events of each type there were."""
    rows = await pool.fetch("SELECT type, count(*) FROM journal GROUP BY type ORDER BY type")
    return [(row["type"], row["count"]) for row in rows]


def test_the_plan_is_always_the_same_and_nobody_is_in_it_twice() -> None:
    plan = make_plan()

    assert plan == make_plan()
    accounts = list(plan.accounts())
    assert len({account.email for account in accounts}) == len({account.name for account in accounts}) == len(accounts)
    numbers = [account.phone_number for account in accounts if account.phone_number]
    assert len(set(numbers)) == len(numbers)


async def test_the_marketplace_is_large_enough_to_look_around_in(node: Node) -> None:
    told: list[tuple[int, int, str]] = []

    await make_marketplace(node, lambda *progress: told.append(progress), password_hash=NO_HASH)

    assert await count(node.pool, "businesses") >= 20
    assert await count(node.pool, "members WHERE role = 'staff'") >= 100
    assert await count(node.pool, "services") >= 200
    assert {row["zone"] for row in await node.pool.fetch("SELECT zone FROM businesses")} == {
        city.zone for city in CITIES
    }
    assert await count(node.pool, "users WHERE jsonb_array_length(memberships) = 1") == CUSTOMERS
    done, total, _ = told[-1]
    assert done == total
    assert [progress[0] for progress in told] == sorted(progress[0] for progress in told)


async def test_the_known_accounts_have_their_roles(node: Node) -> None:
    await make_marketplace(node, password_hash=NO_HASH)

    rows = await node.pool.fetch(
        "SELECT p.email, m ->> 'role' AS role, m ->> 'business_id' AS business_id"
        " FROM people p JOIN users USING (user_id), jsonb_array_elements(memberships) m"
    )
    roles = {(row["email"], row["role"]): row["business_id"] for row in rows}
    assert (CUSTOMER_EMAIL, Role.CUSTOMER) in roles
    assert (ADMIN_EMAIL, Role.ADMIN) in roles
    assert roles[STAFF_EMAIL, Role.STAFF] == roles[OWNER_EMAIL, Role.OWNER]


async def test_a_second_run_changes_nothing(node: Node) -> None:
    await make_marketplace(node, password_hash=NO_HASH)
    before = await history(node.pool), await count(node.pool, "command_log")

    await make_marketplace(node, password_hash=NO_HASH)

    assert (await history(node.pool), await count(node.pool, "command_log")) == before


@pytest.mark.parametrize("stop_after", [100, 190, 210, 280, 400])
async def test_a_run_that_was_cut_short_is_completed(node: Node, stop_after: int) -> None:
    class Cut(Exception):
        pass

    def cut(done: int, total: int, what: str) -> None:
        if done >= stop_after:
            raise Cut

    with pytest.raises(Cut):
        await make_marketplace(node, cut, password_hash=NO_HASH)
    await node.at_rest()
    cut_short = dict(await history(node.pool))

    await make_marketplace(node, password_hash=NO_HASH)

    plan = make_plan()
    made = dict(await history(node.pool))
    assert cut_short != made
    assert made["user.signed_up"] == len(list(plan.accounts()))
    assert made["business.registered"] == len(plan.businesses)
    assert made["business.member_added"] == sum(len(business.members) for business in plan.businesses)
    assert made["service.created"] == sum(len(business.services) for business in plan.businesses)


async def test_every_service_can_be_booked_within_a_week(node: Node) -> None:
    await make_marketplace(node, password_hash=NO_HASH)
    rows = await node.pool.fetch("SELECT id, title, category FROM services")
    week = Span(MONDAY, MONDAY + timedelta(days=7))

    round_ = await load_booking_facts(
        Sources(pool=node.pool, offers=OfferCache(node.pool)),
        [BookingAsk(row["id"], None, None, *week, MONDAY) for row in rows],
    )

    free: Counter[str] = Counter()
    for row, facts in zip(rows, round_, strict=True):
        assert isinstance(facts, BookingFacts)
        free[f"{row['category']}: {row['title']}"] += len(show_slots(facts, week, MONDAY, explain=False).slots)
    assert [service for service, starts in free.items() if not starts] == []


async def test_the_known_staff_member_does_all_that_the_known_owner_offers(node: Node) -> None:
    await make_marketplace(node, password_hash=NO_HASH)

    unserved = await node.pool.fetchval(
        "SELECT count(*) FROM people o JOIN people p ON p.email = $2 JOIN businesses b ON b.owner_id = o.user_id"
        " JOIN services s ON s.business_id = b.id WHERE o.email = $1"
        " AND (s.id, p.user_id) NOT IN (SELECT service_id, staff_id FROM service_staff)",
        OWNER_EMAIL,
        STAFF_EMAIL,
    )

    assert unserved == 0
