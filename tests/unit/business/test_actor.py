"""A business: its managers change it, commands are validated, and members get their roles (rules P-2, F-3)."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from actors.actor import Turn
from actors.business.actor import Business
from actors.business.state import BusinessState, Member, Services
from actors.rules.pricing import price_snapshot
from protocol.business.commands import (
    BlockCustomer,
    RegisterBusiness,
    ReleaseLeaver,
    RemoveMember,
    SetAvailability,
    SetOpeningHours,
    UnblockCustomer,
    UpdateBusiness,
    UpdateMember,
)
from protocol.business.events import (
    BusinessAvailabilityChanged,
    BusinessCustomerBlocked,
    BusinessCustomerUnblocked,
    BusinessHoursChanged,
    BusinessMemberAdded,
    BusinessMemberChanged,
    BusinessMemberRemoved,
    BusinessRegistered,
    BusinessUpdated,
)
from protocol.business.facts import BusinessRecord, MemberRecord, OwnerRecord
from protocol.business.rows import BlockedPairRow, BusinessMemberRow, BusinessRow
from protocol.business.terms import OWNED_MAX, OWNED_PLACE, MemberRole, OwnerStays, Week
from protocol.effects import ClaimKey, DropRow, PutRow, Send, SetTimer
from protocol.errors import Forbidden, Invalid, LimitReached, NotFound
from protocol.events import Event, Row
from protocol.ids import BusinessId, Kind, Ref, ServiceId, UserId
from protocol.instants import LocalSpan, OpenHours
from protocol.money import Money
from protocol.registry import BY_TYPE, Command
from protocol.roles import Principal, Role
from protocol.service.commands import CreateService, DeactivateService, SetServiceStaff, UpdateService
from protocol.service.events import ServiceCreated, ServiceDeactivated, ServiceStaffChanged, ServiceUpdated
from protocol.service.facts import ServiceRecord
from protocol.service.rows import ServiceRow, ServiceStaffRow
from protocol.service.terms import SERVICES_MAX
from protocol.service.views import ServiceReply
from protocol.user.commands import GrantRole, RevokeRole
from tests.support.actors import ACTOR_ID, Decided, decide, replay

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
SALON = BusinessId(ACTOR_ID)
OLGA, MARTA, SAM, STELA, STRANGER = (UserId(UUID(int=number)) for number in range(1, 6))
CUT, COLOUR = ServiceId(UUID(int=201)), ServiceId(UUID(int=202))

NINE_TO_FIVE = (LocalSpan(540, 1020),)
WEEK = Week(week=(NINE_TO_FIVE,) * 7)
HOURS = WEEK.in_zone("Europe/Berlin")

REGISTERED = BusinessRegistered(
    owner_id=OLGA, serves=True, category="hair", zone="Europe/Berlin", currency="EUR", commission_bp=1000
)
MARTA_ADDED = BusinessMemberAdded(user_id=MARTA, role=Role.EMPLOYEE, manager=True, serves=False)
SAM_ADDED = BusinessMemberAdded(user_id=SAM, role=Role.STAFF, manager=False, serves=True)
STELA_ADDED = BusinessMemberAdded(user_id=STELA, role=Role.STAFF, manager=False, serves=True)
TEAM = [REGISTERED, MARTA_ADDED, SAM_ADDED, STELA_ADDED]


def acting(user_id: UserId, role: Role, business_id: BusinessId | None = SALON, *, manager: bool = False) -> Principal:
    return Principal(user_id=user_id, role=role, roles=frozenset({role}), business_id=business_id, manager=manager)


OWNER = acting(OLGA, Role.OWNER, manager=True)
MANAGER = acting(MARTA, Role.EMPLOYEE, manager=True)
STAFF = acting(SAM, Role.STAFF)
OUTSIDER = acting(STRANGER, Role.OWNER, manager=True)
ADMIN = acting(STRANGER, Role.ADMIN, None)
NEWCOMER = acting(OLGA, Role.CUSTOMER, None)
FIRST = OwnerRecord(owned=0)

REGISTER = RegisterBusiness(name="Salon Olga", category_id="hair", city="Berlin", zone="Europe/Berlin", currency="EUR")
BUSINESS_ROW = BusinessRow(
    id=SALON,
    owner_id=OLGA,
    name="Salon Olga",
    category="hair",
    description="",
    city="Berlin",
    zone="Europe/Berlin",
    currency="EUR",
    latitude=None,
    longitude=None,
    hours=HOURS,
    lead_time_minutes=0,
    commission_bp=1000,
    auto_approve=False,
    is_active=True,
    created_at=NOW,
)
CREATE = CreateService(category_id="hair", title="Cut", price=49.5, duration_minutes=45)
SERVICE_ROW = ServiceRow(
    id=CUT,
    business_id=SALON,
    category="hair",
    title="Cut",
    description="",
    price_minor=4950,
    currency="EUR",
    credits_required=0,
    duration_minutes=45,
    buffer_before_minutes=0,
    buffer_after_minutes=15,
    images=(),
    is_active=True,
    created_at=NOW,
)
CUT_BY_SAM = ServiceRecord(row=SERVICE_ROW, staff_ids=(SAM,))
SETTINGS = BusinessRecord(row=BUSINESS_ROW, members=())


def member_row(user_id: UserId, role: Role = Role.STAFF, *, manager: bool = False, **changes: Any) -> BusinessMemberRow:
    row = BusinessMemberRow(
        business_id=SALON,
        user_id=user_id,
        role=role,
        manager=manager,
        serves=role is Role.STAFF,
        active=True,
        bio="",
        working=None,
        joined_at=NOW,
    )
    return msgspec.structs.replace(row, **changes)


def known(row: BusinessMemberRow | None, *service_ids: ServiceId) -> MemberRecord:
    return MemberRecord(row=row, service_ids=service_ids)


def given_team(command: Command, principal: Principal = OWNER, facts: Any = None, *events: Event) -> Decided:
    return decide(Business, [*TEAM, *events], command, principal, NOW, facts)


def refusal(decided: Decided, kind: type[Exception]) -> dict[str, Any]:
    assert isinstance(decided.reply, kind), decided.reply
    assert decided.effects == []
    return decided.reply.fields


def rows(decided: Decided) -> list[Row]:
    return [effect.row for effect in decided.effects if isinstance(effect, PutRow)]


def sent(decided: Decided) -> list[tuple[Ref, Command]]:
    return [(effect.to, effect.command) for effect in decided.effects if isinstance(effect, Send)]  # type: ignore[misc]  # only commands are sent


def audience(command: Command, principal: Principal, facts: Any = None) -> list[UserId]:
    """The recipients of the first event of the command."""
    handler = Business.handlers[type(command)]
    actor = Business(SALON, replay(Business, TEAM), Turn(NOW, principal, lambda: UUID(int=900)))
    handler.call(*((actor, command) if handler.facts is None else (actor, command, facts)))
    return list(actor.emitted[0].audience)


class TestRegistration:
    def test_the_sender_owns_the_business_and_serves_in_it(self) -> None:
        decided = decide(Business, [], REGISTER, NEWCOMER, NOW, FIRST)

        assert decided.events == [REGISTERED]
        business, member = rows(decided)
        assert isinstance(business, BusinessRow)
        assert (business.name, business.owner_id, business.created_at) == ("Salon Olga", OLGA, NOW)
        assert member == member_row(OLGA, Role.OWNER, manager=True, serves=True)

    def test_the_owner_is_told_to_be_one(self) -> None:
        decided = decide(Business, [], REGISTER, NEWCOMER, NOW, FIRST)

        grant = GrantRole(user_id=OLGA, role=Role.OWNER, business_id=SALON, manager=True)
        assert sent(decided) == [(Ref(Kind.USER, OLGA), grant)]

    def test_the_owner_s_bound_is_claimed_before_the_business_exists(self) -> None:
        decided = decide(Business, [], REGISTER, NEWCOMER, NOW, OwnerRecord(owned=3))

        assert ClaimKey(OWNED_PLACE, f"{OLGA}/3", SALON) in decided.effects

    def test_one_person_s_businesses_are_bounded(self) -> None:
        decided = decide(Business, [], REGISTER, NEWCOMER, NOW, OwnerRecord(owned=OWNED_MAX))

        assert refusal(decided, LimitReached) == {"limit": "businesses", "max": OWNED_MAX}

    def test_hours_default_to_nine_to_five_on_weekdays_in_its_own_zone(self) -> None:
        business = rows(decide(Business, [], REGISTER, NEWCOMER, NOW, FIRST))[0]

        assert isinstance(business, BusinessRow)
        assert business.hours == OpenHours(zone="Europe/Berlin", week=(*(NINE_TO_FIVE,) * 5, (), ()))

    @pytest.mark.parametrize(
        ("changed", "field", "problem"),
        [
            ({"zone": "Europe/Atlantis"}, "zone", "unknown_zone"),
            ({"currency": "XYZ"}, "currency", "unknown_currency"),
            ({"category_id": "astrology"}, "category_id", "unknown_category"),
            ({"name": " \t "}, "name", "blank"),
            ({"name": "\u200b"}, "name", "blank"),
            ({"name": "Salon\nOlga"}, "name", "control_character"),
            ({"city": "Ber\tlin"}, "city", "control_character"),
            ({"latitude": 52.5}, "longitude", "missing"),
            ({"hours": Week(week=((LocalSpan(540, 720), LocalSpan(700, 800)), *((),) * 6))}, "hours", "hours_invalid"),
        ],
    )
    def test_what_does_not_fit_is_named(self, changed: dict[str, Any], field: str, problem: str) -> None:
        decided = decide(Business, [], msgspec.structs.replace(REGISTER, **changed), NEWCOMER, NOW, FIRST)

        assert refusal(decided, Invalid) == {field: problem}

    def test_everything_that_does_not_fit_is_named_at_once(self) -> None:
        command = msgspec.structs.replace(REGISTER, zone="Nowhere", currency="XYZ", name=" ")

        assert set(refusal(decide(Business, [], command, NEWCOMER, NOW, FIRST), Invalid)) == {
            "zone",
            "currency",
            "name",
        }


class TestSettings:
    def test_what_is_left_out_stays(self) -> None:
        decided = given_team(UpdateBusiness(business_id=SALON, description="Since 1987"), MANAGER, SETTINGS)

        assert decided.events == [BusinessUpdated(fields=("description",), zone="Europe/Berlin", is_active=True)]
        assert rows(decided) == [msgspec.structs.replace(BUSINESS_ROW, description="Since 1987")]

    def test_saying_the_same_again_is_no_event(self) -> None:
        assert given_team(UpdateBusiness(business_id=SALON, name="Salon Olga"), OWNER, SETTINGS).events == []

    def test_a_place_can_be_taken_back(self) -> None:
        placed = BusinessRecord(row=msgspec.structs.replace(BUSINESS_ROW, latitude=52.5, longitude=13.4), members=())

        decided = given_team(UpdateBusiness(business_id=SALON, latitude=None, longitude=None), OWNER, placed)

        assert rows(decided) == [BUSINESS_ROW]

    def test_the_currency_is_fixed_once_set(self) -> None:
        decided = given_team(UpdateBusiness(business_id=SALON, currency="USD"), OWNER, SETTINGS)

        assert refusal(decided, Invalid) == {"currency": "fixed"}

    def test_in_another_zone_all_hours_stay_as_the_clocks_show_them(self) -> None:
        facts = BusinessRecord(row=BUSINESS_ROW, members=(member_row(SAM, working=HOURS), member_row(STELA)))

        decided = given_team(UpdateBusiness(business_id=SALON, zone="Europe/Lisbon"), OWNER, facts)

        business, sam = rows(decided)
        assert isinstance(business, BusinessRow)
        assert isinstance(sam, BusinessMemberRow)
        assert business.hours == sam.working == WEEK.in_zone("Europe/Lisbon")
        assert replay(Business, [*TEAM, *decided.events]).zone == "Europe/Lisbon"

    def test_a_business_that_is_not_there_is_not_found_by_an_admin_either(self) -> None:
        nothing = BusinessRecord(row=None, members=())

        decided = decide(Business, [], UpdateBusiness(business_id=SALON, is_active=False), ADMIN, NOW, nothing)

        assert refusal(decided, NotFound) == {"entity": "business", "id": str(SALON)}

    def test_an_admin_may_take_a_business_off_the_market(self) -> None:
        decided = given_team(UpdateBusiness(business_id=SALON, is_active=False), ADMIN, SETTINGS)

        assert replay(Business, [*TEAM, *decided.events]).is_active is False

    @pytest.mark.parametrize("principal", [STAFF, OUTSIDER, acting(OLGA, Role.OWNER, BusinessId(UUID(int=9)))])
    def test_only_managers_acting_for_it_change_it(self, principal: Principal) -> None:
        decided = given_team(UpdateBusiness(business_id=SALON, name="Mine"), principal, SETTINGS)

        assert refusal(decided, Forbidden) == {"reason": "managers_only"}

    def test_opening_hours_are_kept_in_the_zone_of_the_business(self) -> None:
        closed = Week(week=WEEK.week, closed_dates=(date(2026, 12, 25),))

        decided = given_team(SetOpeningHours(business_id=SALON, hours=closed), MANAGER, SETTINGS)

        assert decided.events == [BusinessHoursChanged()]
        assert rows(decided) == [msgspec.structs.replace(BUSINESS_ROW, hours=closed.in_zone("Europe/Berlin"))]

    def test_everybody_who_works_there_hears_of_new_hours(self) -> None:
        heard = audience(SetOpeningHours(business_id=SALON, hours=WEEK), OWNER, SETTINGS)

        assert heard == [OLGA, MARTA, SAM, STELA]


class TestPeople:
    def test_another_role_takes_the_old_one_back_and_ends_the_jobs_that_go_with_it(self) -> None:
        command = UpdateMember(business_id=SALON, user_id=SAM, role=MemberRole.EMPLOYEE)

        decided = given_team(command, MANAGER, known(member_row(SAM), CUT, COLOUR))

        assert decided.events == [BusinessMemberChanged(user_id=SAM, role=Role.EMPLOYEE, manager=False, serves=False)]
        assert [command for _, command in sent(decided)] == [
            ReleaseLeaver(business_id=SALON, user_id=SAM),
            RevokeRole(user_id=SAM, role=Role.STAFF, business_id=SALON),
            GrantRole(user_id=SAM, role=Role.EMPLOYEE, business_id=SALON),
        ]
        dropped = [effect.key["service_id"] for effect in decided.effects if isinstance(effect, DropRow)]
        assert dropped == [str(CUT), str(COLOUR)]

    def test_a_manager_stays_one_unless_the_role_changes(self) -> None:
        row = member_row(MARTA, Role.EMPLOYEE, manager=True)

        kept = given_team(UpdateMember(business_id=SALON, user_id=MARTA, bio="Ask me"), OWNER, known(row))
        moved = given_team(UpdateMember(business_id=SALON, user_id=MARTA, role=MemberRole.STAFF), OWNER, known(row))

        assert rows(kept) == [msgspec.structs.replace(row, bio="Ask me")]
        assert moved.events == [BusinessMemberChanged(user_id=MARTA, role=Role.STAFF, manager=False, serves=True)]

    def test_the_owner_may_stop_serving_but_stays_the_owner(self) -> None:
        row = member_row(OLGA, Role.OWNER, manager=True, serves=True)

        decided = given_team(UpdateMember(business_id=SALON, user_id=OLGA, serves=False), OWNER, known(row, CUT))

        assert decided.events == [BusinessMemberChanged(user_id=OLGA, role=Role.OWNER, manager=True, serves=False)]
        assert sent(decided) == []

    @pytest.mark.parametrize("changed", [{"role": MemberRole.STAFF}, {"manager": False}])
    def test_the_owner_takes_no_other_role(self, changed: dict[str, Any]) -> None:
        command = UpdateMember(business_id=SALON, user_id=OLGA, **changed)

        refusal(given_team(command, OWNER, known(member_row(OLGA, Role.OWNER, manager=True))), OwnerStays)

    def test_staff_may_change_the_text_about_themselves_and_nothing_else(self) -> None:
        mine = known(member_row(SAM))

        text = given_team(UpdateMember(business_id=SALON, user_id=SAM, bio="Fades"), STAFF, mine)
        role = given_team(UpdateMember(business_id=SALON, user_id=SAM, role=MemberRole.EMPLOYEE), STAFF, mine)
        other = given_team(UpdateMember(business_id=SALON, user_id=STELA, bio="!"), STAFF, known(member_row(STELA)))

        assert rows(text) == [member_row(SAM, bio="Fades")]
        assert refusal(role, Forbidden) == refusal(other, Forbidden) == {"reason": "managers_only"}

    def test_a_removed_member_offers_nothing_and_loses_the_role(self) -> None:
        decided = given_team(RemoveMember(business_id=SALON, user_id=SAM), MANAGER, known(member_row(SAM), CUT))

        assert decided.events == [BusinessMemberRemoved(user_id=SAM)]
        assert rows(decided) == [member_row(SAM, active=False)]
        assert DropRow("service_staff", {"service_id": str(CUT), "staff_id": str(SAM)}) in decided.effects
        revoke = RevokeRole(user_id=SAM, role=Role.STAFF, business_id=SALON)
        release = ReleaseLeaver(business_id=SALON, user_id=SAM)
        assert sent(decided) == [(Ref(Kind.USER, SAM), revoke), (Ref(Kind.BUSINESS, SALON), release)]
        assert [effect.command for effect in decided.effects if isinstance(effect, SetTimer)] == [release]

    def test_everybody_but_the_owner_may_leave(self) -> None:
        leaves = given_team(RemoveMember(business_id=SALON, user_id=SAM), STAFF, known(member_row(SAM)))
        stays = given_team(RemoveMember(business_id=SALON, user_id=OLGA), OWNER, known(member_row(OLGA, Role.OWNER)))

        assert leaves.events == [BusinessMemberRemoved(user_id=SAM)]
        refusal(stays, OwnerStays)

    def test_a_manager_is_removed_by_the_owner_only(self) -> None:
        facts = known(member_row(MARTA, Role.EMPLOYEE, manager=True))
        second = BusinessMemberAdded(user_id=STRANGER, role=Role.EMPLOYEE, manager=True, serves=False)
        rival = acting(STRANGER, Role.EMPLOYEE, manager=True)

        decided = given_team(RemoveMember(business_id=SALON, user_id=MARTA), rival, facts, second)

        assert refusal(decided, Forbidden) == {"reason": "owner_only"}

    def test_strangers_learn_nothing_about_members(self) -> None:
        decided = given_team(RemoveMember(business_id=SALON, user_id=SAM), OUTSIDER, known(member_row(SAM)))

        assert refusal(decided, Forbidden) == {"reason": "members_only"}

    def test_staff_say_when_they_work(self) -> None:
        decided = given_team(SetAvailability(working=WEEK), STAFF, known(member_row(SAM)))

        assert decided.events == [BusinessAvailabilityChanged(user_id=SAM)]
        assert rows(decided) == [member_row(SAM, working=HOURS)]

    def test_managers_say_it_for_others_and_staff_do_not(self) -> None:
        command = SetAvailability(staff_id=STELA, working=None)

        assert given_team(command, MANAGER, known(member_row(STELA, working=HOURS))).events
        refusal(given_team(command, STAFF, known(member_row(STELA))), Forbidden)


class TestServices:
    def test_a_price_in_major_units_is_kept_in_minor_ones(self) -> None:
        reply = given_team(CREATE, MANAGER).reply

        assert isinstance(reply, ServiceReply)
        assert (reply.price, reply.price_minor, reply.currency) == (49.5, 4950, "EUR")

    def test_buffers_default_to_nothing_before_and_fifteen_minutes_after(self) -> None:
        reply = given_team(CREATE).reply

        assert isinstance(reply, ServiceReply)
        assert (reply.buffer_before_minutes, reply.buffer_after_minutes) == (0, 15)

    def test_everybody_who_serves_does_it_unless_said_otherwise(self) -> None:
        decided = given_team(CREATE)

        (service, *staff) = rows(decided)
        assert isinstance(service, ServiceRow)
        assert staff == [ServiceStaffRow(service_id=service.id, staff_id=staff_id) for staff_id in (OLGA, SAM, STELA)]
        (event,) = decided.events
        assert isinstance(event, ServiceCreated)
        assert (event.service_id, event.staff_ids) == (service.id, (OLGA, SAM, STELA))

    @pytest.mark.parametrize(
        ("changed", "field", "problem"),
        [
            ({"price": 9.999}, "price", "amount_too_precise"),
            ({"price": 1e20}, "price", "amount_too_large"),
            ({"price": 10_000_000_000.01}, "price", "amount_too_large"),
            ({"currency": "USD"}, "currency", "fixed"),
            ({"category_id": "astrology"}, "category_id", "unknown_category"),
            ({"title": "  "}, "title", "blank"),
            ({"title": "Cut\nand colour"}, "title", "control_character"),
            ({"staff_ids": (SAM, MARTA)}, "staff_ids", "not_serving"),
            ({"staff_ids": (STRANGER,)}, "staff_ids", "not_serving"),
        ],
    )
    def test_what_does_not_fit_is_named(self, changed: dict[str, Any], field: str, problem: str) -> None:
        decided = given_team(msgspec.structs.replace(CREATE, **changed))

        assert refusal(decided, Invalid) == {field: problem}

    @pytest.mark.parametrize(
        ("changes", "problems"),
        [
            ({"category_id": "astrology"}, {"category_id": "unknown_category"}),
            ({"currency": "USD", "price": 9.999}, {"currency": "fixed", "price": "amount_too_precise"}),
            ({"title": " "}, {"title": "blank"}),
        ],
    )
    def test_a_change_that_does_not_fit_is_named_as_well(
        self, changes: dict[str, Any], problems: dict[str, str]
    ) -> None:
        decided = given_team(UpdateService(service_id=CUT, **changes), OWNER, CUT_BY_SAM)

        assert refusal(decided, Invalid) == problems

    def test_the_highest_price_leaves_room_for_the_premium_of_an_owner(self) -> None:
        decided = given_team(msgspec.structs.replace(CREATE, price=10_000_000_000))

        assert isinstance(decided.reply, ServiceReply)
        price = Money(decided.reply.price_minor, "EUR")
        assert price_snapshot(price, staff_is_owner=True, others_offering=1).total_minor == 1_500_000_000_000

    def test_yen_have_no_decimals(self) -> None:
        in_yen = msgspec.structs.replace(REGISTERED, currency="JPY", zone="Asia/Tokyo")

        decided = decide(Business, [in_yen], msgspec.structs.replace(CREATE, price=49.5), OWNER, NOW)
        accepted = decide(Business, [in_yen], msgspec.structs.replace(CREATE, price=4950), OWNER, NOW)

        assert refusal(decided, Invalid) == {"price": "amount_too_precise"}
        assert isinstance(accepted.reply, ServiceReply)
        assert accepted.reply.price_minor == 4950

    def test_the_number_of_services_is_bounded(self) -> None:
        many = [
            ServiceCreated(
                service_id=ServiceId(UUID(int=number)),
                category="hair",
                price_minor=1,
                currency="EUR",
                duration_minutes=1,
                staff_ids=(),
            )
            for number in range(SERVICES_MAX)
        ]

        assert refusal(given_team(CREATE, OWNER, None, *many), LimitReached)["limit"] == "services"

    def test_an_update_names_what_changed(self) -> None:
        command = UpdateService(service_id=CUT, price=55, title="Cut", is_active=True)

        decided = given_team(command, MANAGER, CUT_BY_SAM)

        assert decided.events == [
            ServiceUpdated(
                service_id=CUT, fields=("price_minor",), price_minor=5500, duration_minutes=45, is_active=True
            )
        ]
        assert rows(decided) == [msgspec.structs.replace(SERVICE_ROW, price_minor=5500)]

    def test_the_staff_who_do_it_hear_of_a_change(self) -> None:
        assert audience(UpdateService(service_id=CUT, price=55), OWNER, CUT_BY_SAM) == [OLGA, MARTA, SAM]

    def test_a_deactivated_service_can_come_back(self) -> None:
        off = msgspec.structs.replace(SERVICE_ROW, is_active=False)
        facts_off = ServiceRecord(row=off, staff_ids=(SAM,))

        gone = given_team(DeactivateService(service_id=CUT), OWNER, CUT_BY_SAM)
        again = given_team(DeactivateService(service_id=CUT), OWNER, facts_off)
        back = given_team(UpdateService(service_id=CUT, is_active=True), OWNER, facts_off)

        assert (gone.events, rows(gone)) == ([ServiceDeactivated(service_id=CUT)], [off])
        assert again.events == []
        assert rows(back) == [SERVICE_ROW]

    def test_its_staff_are_replaced(self) -> None:
        decided = given_team(SetServiceStaff(service_id=CUT, staff_ids=(STELA, OLGA, STELA)), OWNER, CUT_BY_SAM)

        assert decided.events == [ServiceStaffChanged(service_id=CUT, added=(STELA, OLGA), removed=(SAM,))]
        assert DropRow("service_staff", {"service_id": str(CUT), "staff_id": str(SAM)}) in decided.effects
        assert len(rows(decided)) == 2

    @pytest.mark.parametrize(
        "command",
        [
            UpdateService(service_id=CUT, price=1),
            DeactivateService(service_id=CUT),
            SetServiceStaff(service_id=CUT, staff_ids=()),
        ],
    )
    def test_another_business_s_service_is_not_found(self, command: Command) -> None:
        theirs = msgspec.structs.replace(SERVICE_ROW, business_id=BusinessId(UUID(int=9)))

        for facts in (ServiceRecord(row=theirs, staff_ids=()), ServiceRecord(row=None, staff_ids=())):
            assert refusal(given_team(command, OWNER, facts), NotFound)["entity"] == "service"

    @pytest.mark.parametrize(
        ("command", "facts"),
        [
            (CREATE, None),
            (UpdateService(service_id=CUT, price=1), CUT_BY_SAM),
            (DeactivateService(service_id=CUT), CUT_BY_SAM),
            (SetServiceStaff(service_id=CUT, staff_ids=(SAM,)), CUT_BY_SAM),
            (BlockCustomer(business_id=SALON, customer_id=STRANGER), None),
        ],
    )
    def test_only_managers_change_services(self, command: Command, facts: Any) -> None:
        for principal in (STAFF, OUTSIDER):
            refusal(given_team(command, principal, facts), Forbidden)


class TestCustomers:
    def test_a_customer_is_blocked_and_unblocked_and_does_not_hear_of_it(self) -> None:
        block, unblock = (cls(business_id=SALON, customer_id=STRANGER) for cls in (BlockCustomer, UnblockCustomer))

        blocked, unblocked = given_team(block), given_team(unblock)

        assert blocked.events == [BusinessCustomerBlocked(customer_id=STRANGER)]
        assert rows(blocked) == [BlockedPairRow(business_id=SALON, customer_id=STRANGER, blocked_at=NOW)]
        assert unblocked.events == [BusinessCustomerUnblocked(customer_id=STRANGER)]
        assert [type(effect) for effect in unblocked.effects] == [DropRow]
        assert STRANGER not in audience(block, OWNER)


class TestState:
    def test_a_usual_business_remembers_little(self) -> None:
        state = BusinessState(
            owner_id=OLGA,
            zone="America/Argentina/ComodRivadavia",
            currency="EUR",
            commission_bp=1000,
            members={UserId(UUID(int=2**127 + number)): Member(Role.EMPLOYEE, False, False) for number in range(20)},
            services=Services(100),
        )

        assert len(msgspec.json.encode(state)) < 2048

    @pytest.mark.parametrize(
        "command",
        [declared.type for declared in BY_TYPE.values() if declared.actor is Kind.BUSINESS],
    )
    def test_every_command_has_its_handler(self, command: type[Command]) -> None:
        assert command in Business.handlers
