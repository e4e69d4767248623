"""Services: what businesses write by commands is what all users read (rule F-3)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast
from uuid import UUID

import msgspec
import pytest

from protocol.business.commands import (
    AddMember,
    RegisterBusiness,
    RemoveMember,
    SetAvailability,
    SetOpeningHours,
    UpdateBusiness,
)
from protocol.business.terms import MemberRole, Week
from protocol.business.views import BusinessView, GetAvailability, GetBusiness, ListStaff
from protocol.errors import Forbidden, Invalid, NotFound
from protocol.ids import BusinessId, ServiceId
from protocol.roles import Principal, Role
from protocol.service.commands import CreateService, DeactivateService, SetServiceStaff, UpdateService
from protocol.service.views import GetService, ListCategories, ListServices, ServicePage, ServiceReply
from storage.database import Pool
from storage.offers import OFFER_TTL_S, OfferCache, load_offers
from storage.queries.business import get_availability, get_business, list_staff
from storage.queries.service import get_service, list_categories, list_services
from tests.support.sample_business import (
    NINE_TO_FIVE,
    WEEK,
    ZONE,
    SampleBusiness,
    acting,
    join,
    offer,
    open_sample_business,
    sign_up,
)


@pytest.fixture
async def salon(database_dsn: str, pool: Pool) -> AsyncIterator[SampleBusiness]:
    async with open_sample_business(database_dsn, pool) as salon:
        yield salon


async def titles(salon: SampleBusiness, principal: Principal | None = None, **asked: Any) -> list[str]:
    page: ServicePage = await salon.ask(list_services, ListServices(**asked), principal)
    return [service.title for service in page.items]


async def found(salon: SampleBusiness, **asked: Any) -> set[str]:
    return set(await titles(salon, **asked))


async def second_business(salon: SampleBusiness, **changes: Any) -> Principal:
    """Another business, in New York; answers with its owner."""
    ben = await sign_up(salon.node, "Ben")
    said = {"name": "Ben's Pipes", "category_id": "plumbing", "city": "New York", "zone": "America/New_York"}
    outcome = await salon.do(RegisterBusiness(**{**said, "currency": "USD", **changes}), ben)
    return acting(ben, Role.OWNER, BusinessId(outcome.to.id), manager=True)


class TestBusiness:
    async def test_everybody_sees_it_with_its_hours_and_without_its_private_terms(self, salon: SampleBusiness) -> None:
        view: BusinessView = await salon.ask(get_business, GetBusiness(business_id=salon.business_id))

        assert (view.name, view.city, view.category_id, view.account_type) == (
            "Salon Olga",
            "Berlin",
            "hair",
            "business",
        )
        assert view.hours == WEEK.in_zone(ZONE)
        assert {"commission_bp", "auto_approve"}.isdisjoint(msgspec.json.decode(msgspec.json.encode(view)))

    async def test_the_founder_may_act_as_its_owner(self, salon: SampleBusiness) -> None:
        memberships = await salon.pool.fetchval("SELECT memberships FROM users WHERE user_id = $1", salon.owner.user_id)

        assert {"role": "owner", "business_id": str(salon.business_id), "manager": True} in msgspec.json.decode(
            memberships
        )

    async def test_a_solo_provider_is_an_individual(self, salon: SampleBusiness) -> None:
        ben = await second_business(salon)
        assert ben.business_id is not None

        view: BusinessView = await salon.ask(get_business, GetBusiness(business_id=ben.business_id))

        assert view.account_type == "individual"

    async def test_an_inactive_one_is_found_by_its_own_people_only(self, salon: SampleBusiness) -> None:
        await salon.do(UpdateBusiness(business_id=salon.business_id, is_active=False))

        for handler, query in (
            (get_business, GetBusiness(business_id=salon.business_id)),
            (list_staff, ListStaff(business_id=salon.business_id)),
            (get_service, GetService(service_id=salon.cut)),
        ):
            assert await salon.ask(handler, query, salon.sam)
            for stranger in (None, salon.customer):
                with pytest.raises(NotFound):
                    await salon.ask(handler, query, stranger)
        assert await titles(salon) == []

    async def test_new_hours_and_a_new_zone_reach_hours_and_working_hours(self, salon: SampleBusiness) -> None:
        hours = Week(week=(NINE_TO_FIVE,) * 7)
        await salon.do(SetAvailability(working=WEEK), salon.sam)

        await salon.do(SetOpeningHours(business_id=salon.business_id, hours=hours))
        await salon.do(UpdateBusiness(business_id=salon.business_id, zone="Asia/Kathmandu"))

        view = await salon.ask(get_availability, GetAvailability(), salon.sam)
        assert view.hours == hours.in_zone("Asia/Kathmandu")
        assert view.working == WEEK.in_zone("Asia/Kathmandu")
        assert view.zone == "Asia/Kathmandu"


class TestStaff:
    async def test_everybody_sees_who_does_what(self, salon: SampleBusiness) -> None:
        await salon.do(SetServiceStaff(service_id=salon.cut, staff_ids=(salon.sam.user_id,)))

        staff = (await salon.ask(list_staff, ListStaff(business_id=salon.business_id))).items

        assert [(one.name, one.is_owner, one.service_ids) for one in staff] == [
            ("Olga", True, ()),
            ("Sam", False, (salon.cut,)),
            ("Stela", False, ()),
        ]

    async def test_a_removed_member_is_gone_and_offers_nothing(self, salon: SampleBusiness) -> None:
        await salon.do(RemoveMember(business_id=salon.business_id, user_id=salon.sam.user_id))

        staff = (await salon.ask(list_staff, ListStaff(business_id=salon.business_id))).items
        assert [one.name for one in staff] == ["Olga", "Stela"]
        (offered,) = await load_offers(salon.pool, [salon.cut])
        assert salon.sam.user_id not in offered.offering
        memberships = await salon.pool.fetchval("SELECT memberships FROM users WHERE user_id = $1", salon.sam.user_id)
        assert str(salon.business_id) not in memberships

    async def test_one_who_comes_back_starts_anew(self, salon: SampleBusiness) -> None:
        user_id = salon.sam.user_id
        await salon.do(RemoveMember(business_id=salon.business_id, user_id=user_id))
        back = AddMember(business_id=salon.business_id, user_id=user_id, role=MemberRole.STAFF, bio="Back")

        await join(salon.node, salon.owner, salon.sam, back)

        staff = (await salon.ask(list_staff, ListStaff(business_id=salon.business_id))).items
        assert [(one.name, one.bio, one.service_ids) for one in staff][-1] == ("Sam", "Back", ())

    async def test_availability_is_one_s_own_or_a_manager_s_to_read(self, salon: SampleBusiness) -> None:
        await salon.do(SetAvailability(working=WEEK), salon.sam)
        his = GetAvailability(staff_id=salon.sam.user_id)

        mine = await salon.ask(get_availability, GetAvailability(), salon.sam)
        assert mine.working == WEEK.in_zone(ZONE)
        assert mine.as_of.count(":") == 1
        assert (await salon.ask(get_availability, his, salon.owner)).working == mine.working
        with pytest.raises(Forbidden):
            await salon.ask(get_availability, his, salon.stela)


class TestServices:
    async def test_a_service_goes_to_the_acting_business(self, salon: SampleBusiness) -> None:
        command = CreateService(category_id="hair", title="Beard", price=12.5, duration_minutes=20)

        outcome = await salon.do(command)

        reply = msgspec.json.decode(outcome.reply, type=ServiceReply)
        view = await salon.ask(get_service, GetService(service_id=reply.id))
        assert (view.business_id, view.business_name) == (salon.business_id, "Salon Olga")
        assert (view.price, view.price_minor, view.currency) == (12.5, 1250, "EUR")
        assert view.provider_id == salon.owner.user_id

    async def test_somebody_without_a_business_has_no_services(self, salon: SampleBusiness) -> None:
        command = CreateService(category_id="hair", title="Beard", price=12.5, duration_minutes=20)

        with pytest.raises(Forbidden) as refused:
            await salon.node.send(command, salon.customer)

        assert refused.value.fields == {"reason": "no_business"}

    async def test_a_retried_create_makes_one_service(self, salon: SampleBusiness) -> None:
        command = CreateService(category_id="hair", title="Beard", price=12, duration_minutes=20)

        first = await salon.do(command, key="beard")
        again = await salon.do(command, key="beard")

        assert (again.replayed, again.reply) == (True, first.reply)
        assert await titles(salon, business_id=salon.business_id) == ["Beard", "Cut"]

    async def test_changes_made_at_once_are_both_kept(self, salon: SampleBusiness) -> None:
        changes = [UpdateService(service_id=salon.cut, title="Trim"), UpdateService(service_id=salon.cut, price=45)]

        await asyncio.gather(*(salon.node.send(change, salon.owner) for change in changes))

        view = await salon.ask(get_service, GetService(service_id=salon.cut))
        assert (view.title, view.price_minor) == ("Trim", 4500)

    async def test_one_off_the_market_is_listed_for_its_managers_only(self, salon: SampleBusiness) -> None:
        await salon.do(DeactivateService(service_id=salon.cut))
        off = {"business_id": salon.business_id, "is_active": False}

        assert await titles(salon) == []
        assert await titles(salon, salon.owner, **off) == ["Cut"]
        for stranger in (None, salon.customer, salon.sam, await second_business(salon)):
            with pytest.raises(Forbidden):
                await titles(salon, stranger, **off)

    async def test_filters_narrow_the_list(self, salon: SampleBusiness) -> None:
        ben = await second_business(salon)
        await offer(salon.node, ben, category_id="plumbing", title="Leak repair", price=80, description="100% dry_")
        await offer(salon.node, salon.owner, title="Colour", price=89.9, description="With a cut")

        assert await found(salon) == {"Cut", "Colour", "Leak repair"}
        assert await found(salon, category="plumbing") == {"Leak repair"}
        assert await found(salon, business_id=salon.business_id) == {"Cut", "Colour"}
        assert await found(salon, search="cut") == {"Cut", "Colour"}
        assert await found(salon, search="PIPES leak") == {"Leak repair"}
        assert await found(salon, search="pipes cut") == set()
        assert await found(salon, search="0% _") == {"Leak repair"}
        assert await found(salon, search="t_") == set()
        assert await found(salon, currency="USD") == {"Leak repair"}
        assert await found(salon, price_min=50, price_max=80) == {"Cut", "Leak repair"}
        assert await found(salon, price_min=89.9, price_max=89.9) == {"Colour"}

    async def test_a_search_knows_neither_case_nor_accents_nor_normal_forms(self, salon: SampleBusiness) -> None:
        await offer(salon.node, salon.owner, title="Größe", description="FUẞPFLEGE Straße", price=1)
        await offer(salon.node, salon.owner, title="Caffè Müller", description="perché ﬁnale", price=1)

        for word in ("Größe", "GRÖSSE", "Grosse", "gro\u0308ße", "fusspflege", "Fußpflege", "STRASSE"):
            assert await found(salon, search=word) == {"Größe"}, word
        for word in ("caffe", "CAFFÈ", "muller", "mu\u0308ller", "perche", "finale", "ﬁnale"):
            assert await found(salon, search=word) == {"Caffè Müller"}, word
        assert await found(salon, search="＼") == set()

    async def test_prices_compare_in_their_own_currency_s_digits(self, salon: SampleBusiness) -> None:
        yen = await second_business(salon, currency="JPY", zone="Asia/Tokyo")
        await offer(salon.node, yen, title="Sento", price=4500)

        assert await found(salon, price_min=4500) == {"Sento"}
        assert await found(salon, price_max=4499.99) == {"Cut"}

    async def test_pages_follow_each_other_without_gap_or_double(self, salon: SampleBusiness) -> None:
        for number in range(6):
            await offer(salon.node, salon.owner, title=f"Service {number}")
        seen, cursor = [], None

        for _ in range(4):
            page: ServicePage = await salon.ask(list_services, ListServices(limit=2, cursor=cursor))
            seen += [service.title for service in page.items]
            cursor = page.next_cursor
            if len(seen) == 2:
                await offer(salon.node, salon.owner, title="Newer than what was shown")

        assert seen == [*(f"Service {number}" for number in range(5, -1, -1)), "Cut"]
        assert cursor is None

    async def test_a_made_up_cursor_is_refused_by_name(self, salon: SampleBusiness) -> None:
        with pytest.raises(Invalid) as refused:
            await salon.ask(list_services, ListServices(cursor="nonsense"))

        assert set(refused.value.fields) == {"cursor"}

    async def test_categories_have_names_and_counts(self, salon: SampleBusiness) -> None:
        categories = {one.id: one for one in (await salon.ask(list_categories, ListCategories(lang="de"))).items}

        assert (categories["hair"].name, categories["hair"].services) == ("Friseur", 1)
        assert categories["plumbing"].services == 0
        assert (await salon.ask(list_categories, ListCategories(lang="xx"))).items[0].name == "Hair"


class Explained:
    """A pool that answers with the plan of a query instead of its rows."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.plan = ""

    async def fetch(self, query: str, *arguments: Any) -> list[Any]:
        rows = await self._pool.fetch(f"EXPLAIN {query}", *arguments)
        self.plan = "\n".join(row[0] for row in rows)
        return []


async def test_each_list_order_is_an_index_s(salon: SampleBusiness) -> None:
    await salon.pool.execute(
        "INSERT INTO businesses SELECT gen_random_uuid(), owner_id, name, category, description, city, zone, currency,"
        " latitude, longitude, hours, 0, 0, false, true, created_at FROM businesses, generate_series(1, 200)"
    )
    await salon.pool.execute(
        "INSERT INTO services SELECT gen_random_uuid(), b.id, (ARRAY['hair', 'nails', 'pets'])[1 + n % 3], 'A', 'B', n,"
        " 'EUR', 1, 60, 0, 15, '[]', true, now() - n * interval '1 hour' FROM businesses b, generate_series(1, 50) n"
    )
    await salon.pool.execute("ANALYZE")
    page: ServicePage = await salon.ask(list_services, ListServices(limit=1))
    asked: dict[str, dict[str, Any]] = {
        "services_newest": {},
        "services_category": {"category": "pets"},
        "services_business": {"business_id": salon.business_id},
    }

    for index, filters in asked.items():
        explained = Explained(salon.pool)
        query = ListServices(cursor=page.next_cursor, **filters)
        await list_services(cast(Pool, explained), query, None)
        assert f"Index Scan Backward using {index}" in explained.plan
        assert "Sort" not in explained.plan


class SlowReads:
    """A pool whose first answer is on its way for as long as the test likes."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.has_read = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def fetch(self, *query: Any) -> Any:
        rows = await self._pool.fetch(*query)
        self.has_read.set()
        await self.may_answer.wait()
        return rows


class TestCatalogueInMemory:
    async def test_a_change_on_this_node_is_seen_at_once(self, salon: SampleBusiness) -> None:
        before = (await salon.sources.offers.find([salon.cut]))[salon.cut]

        await salon.do(UpdateService(service_id=salon.cut, price=60))

        after = (await salon.sources.offers.find([salon.cut]))[salon.cut]
        assert (before.service.price_minor, after.service.price_minor) == (5000, 6000)

    async def test_an_unchanged_offer_is_not_read_twice(self, salon: SampleBusiness) -> None:
        first = (await salon.sources.offers.find([salon.cut]))[salon.cut]

        assert (await salon.sources.offers.find([salon.cut]))[salon.cut] is first

    async def test_a_change_on_another_node_is_seen_when_the_time_is_up(self, salon: SampleBusiness) -> None:
        now_s = 0.0
        elsewhere = OfferCache(salon.pool, lambda: now_s)
        await elsewhere.find([salon.cut])
        await salon.do(UpdateService(service_id=salon.cut, price=60))

        now_s = OFFER_TTL_S - 0.1
        early = (await elsewhere.find([salon.cut]))[salon.cut]
        now_s = OFFER_TTL_S + 0.1
        late = (await elsewhere.find([salon.cut]))[salon.cut]

        assert (early.service.price_minor, late.service.price_minor) == (5000, 6000)

    async def test_what_was_read_before_a_change_is_not_kept_after_it(self, salon: SampleBusiness) -> None:
        slow = SlowReads(salon.pool)
        catalogue = OfferCache(cast(Pool, slow))
        reading = asyncio.create_task(catalogue.find([salon.cut]))
        await slow.has_read.wait()
        await salon.do(UpdateService(service_id=salon.cut, price=60))
        catalogue.on_event(salon.node.heard[-1])
        slow.may_answer.set()
        await reading

        assert (await catalogue.find([salon.cut]))[salon.cut].service.price_minor == 6000

    async def test_unknown_services_are_left_out(self, salon: SampleBusiness) -> None:
        assert await salon.sources.offers.find([ServiceId(UUID(int=1))]) == {}
