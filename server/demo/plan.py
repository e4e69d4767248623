"""The plan of the demo marketplace: who is there, what they offer and when they work. Always the same."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from random import Random

from protocol.business.commands import RegisterBusiness
from protocol.business.terms import MemberRole, Week
from protocol.instants import DaySpans, LocalSpan
from protocol.service.commands import CreateService
from server.accounts.bulk import NewAccount
from server.demo.accounts import ADMIN_EMAIL, CUSTOMER_EMAIL, DOMAIN, OWNER_EMAIL, STAFF_EMAIL
from server.demo.names import BERLIN, CITIES, City
from server.demo.offers import TRADES, Offer, Trade

CUSTOMERS = 40
#: Staff members of one business; every second one has one more.
STAFF = 4
#: One business in this many has an employee as manager.
MANAGER_EVERY = 4
_SEED = "the demo marketplace"

_HOLIDAYS = tuple(date(year, month, day) for year in (2026, 2027, 2028) for month, day in ((1, 1), (12, 25)))
_OFF: DaySpans = ()
#: Open at two stretches with a break, or at one without.
_SALON: DaySpans = (LocalSpan(600, 780), LocalSpan(840, 1140))
_LATE: DaySpans = (LocalSpan(540, 780), LocalSpan(840, 1260))
_TRADES: DaySpans = (LocalSpan(450, 720), LocalSpan(780, 1020))
_AFTERNOON: DaySpans = (LocalSpan(780, 1200),)
_STUDIO: DaySpans = (LocalSpan(540, 780), LocalSpan(840, 1080))
_SATURDAY: DaySpans = (LocalSpan(600, 960),)

_WEEKS = {
    "salon": (_OFF, _SALON, _SALON, _SALON, _SALON, _SALON, _OFF),
    "late": (_LATE, _LATE, _LATE, _LATE, _LATE, _SATURDAY, _OFF),
    "trades": (_TRADES, _TRADES, _TRADES, _TRADES, _TRADES, _OFF, _OFF),
    "afternoons": (_AFTERNOON, _AFTERNOON, _AFTERNOON, _AFTERNOON, _AFTERNOON, _SATURDAY, _OFF),
    "studio": (_STUDIO, _STUDIO, _STUDIO, _STUDIO, _STUDIO, _STUDIO, _OFF),
}
WEEKS = {name: Week(week=week, closed_dates=_HOLIDAYS) for name, week in _WEEKS.items()}

_BIOS = (
    "With us since {year}. Ask about anything that you are not sure of.",
    "Learned the trade in {city} and never left.",
    "{years} years of experience, and still curious.",
    "Takes time, explains, and leaves no mess.",
    "Came to {city} in {year}. Speaks three languages, two of them fluently.",
    "The one to ask for when it is complicated.",
    "Quick, friendly, and on time.",
    "Trains our apprentices when not with customers.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMember:
    """A member of a business beside its owner."""

    account: NewAccount
    role: MemberRole
    manager: bool
    bio: str
    #: None: whenever the business is open.
    working: Week | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedService:
    """A service of a business."""

    command: CreateService
    #: The e-mail addresses of its staff.
    staff: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedBusiness:
    """One business with its people."""

    owner: NewAccount
    command: RegisterBusiness
    members: tuple[PlannedMember, ...]
    services: tuple[PlannedService, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The whole marketplace."""

    admin: NewAccount
    customers: tuple[NewAccount, ...]
    businesses: tuple[PlannedBusiness, ...]

    def accounts(self) -> Iterator[NewAccount]:
        """All accounts, each once."""
        yield self.admin
        yield from self.customers
        for business in self.businesses:
            yield business.owner
            for member in business.members:
                yield member.account


def make_plan() -> Plan:
    """Make the plan; pure, and the same each time."""
    rng = Random(_SEED)
    people = {city.name: _People(city, rng) for city in CITIES}
    berliners = people[BERLIN.name]
    return Plan(
        admin=NewAccount(email=ADMIN_EMAIL, name="Ada Admin"),
        businesses=tuple(
            _business(trade, city, people[city.name], rng, number=2 * index + CITIES.index(city))
            for index, trade in enumerate(TRADES)
            for city in CITIES
        ),
        customers=(
            berliners.next(CUSTOMER_EMAIL),
            *(people[CITIES[number % len(CITIES)].name].next() for number in range(1, CUSTOMERS)),
        ),
    )


@dataclass(slots=True)
class _People:
    """The inhabitants of a city, one after the other, no two of the same name."""

    city: City
    rng: Random
    _names: list[str] = field(default_factory=list)
    _count: int = 0

    def __post_init__(self) -> None:
        self._names = [f"{first} {last}" for first in self.city.first_names for last in self.city.last_names]
        self.rng.shuffle(self._names)

    def next(self, email: str | None = None) -> NewAccount:
        name = self._names[self._count]
        # Of the fictional numbers of New York there are a hundred, from 100 on.
        phone_number = self.city.phone.format(100 + self._count)
        self._count += 1
        return NewAccount(
            email=email or f"{_slug(name)}@{DOMAIN}",
            name=name,
            phone_number=phone_number,
            language=self.city.language,
        )


def _slug(name: str) -> str:
    """The name as in an e-mail address."""
    plain = unicodedata.normalize("NFKD", name.casefold().replace("ı", "i")).encode("ascii", "ignore").decode()
    return ".".join("".join(filter(str.isalnum, word)) for word in plain.split())


def _business(trade: Trade, city: City, people: _People, rng: Random, *, number: int) -> PlannedBusiness:
    first = number == 0
    week = WEEKS[trade.hours]
    owner = people.next(OWNER_EMAIL if first else None)
    owner_serves = number % 2 == 0
    staff = [
        _staff(people.next(STAFF_EMAIL if first and index == 0 else None), week, rng, whole_week=index == 0)
        for index in range(STAFF + number % 2)
    ]
    manager = [_manager(people.next())] if number % MANAGER_EVERY == 1 else []
    who = [member.account.email for member in staff]
    register = RegisterBusiness(
        name=trade.names[CITIES.index(city)],
        category_id=trade.category_id,
        description=f"{trade.text} In {rng.choice(city.quarters)} since {rng.randint(1987, 2023)}.",
        city=city.name,
        zone=city.zone,
        currency=city.currency,
        latitude=round(city.latitude + rng.uniform(-0.06, 0.06), 5),
        longitude=round(city.longitude + rng.uniform(-0.08, 0.08), 5),
        hours=week,
        lead_time_minutes=rng.choice((0, 60, 120)),
        auto_approve=number % 3 == 1,
        owner_serves=owner_serves,
    )
    return PlannedBusiness(
        owner=owner,
        command=register,
        members=(*staff, *manager),
        services=tuple(
            PlannedService(
                command=_service(trade, offer, city),
                staff=_who_does_it(who, owner.email if owner_serves else None, rng),
            )
            for offer in trade.offers
        ),
    )


def _service(trade: Trade, offer: Offer, city: City) -> CreateService:
    price = offer.price if city.price_factor == 1.0 else round(offer.price * city.price_factor)
    return CreateService(
        category_id=trade.category_id,
        title=offer.title,
        description=offer.text,
        price=price,
        duration_minutes=offer.minutes,
        buffer_after_minutes=trade.buffer_after_minutes,
        credits_required=max(1, round(offer.price / 10)),
    )


def _who_does_it(staff: list[str], owner: str | None, rng: Random) -> tuple[str, ...]:
    """The first staff member does everything; the others and a serving owner do some of it."""
    others = [email for email in staff[1:] if rng.random() < 0.6]
    return (staff[0], *others, *([owner] if owner and rng.random() < 0.5 else []))


def _staff(account: NewAccount, week: Week, rng: Random, *, whole_week: bool) -> PlannedMember:
    city = BERLIN.name if account.language == BERLIN.language else CITIES[1].name
    bio = rng.choice(_BIOS).format(year=rng.randint(2009, 2024), years=rng.randint(5, 25), city=city)
    working = None if whole_week else _working(week, rng)
    return PlannedMember(account=account, role=MemberRole.STAFF, manager=False, bio=bio, working=working)


def _manager(account: NewAccount) -> PlannedMember:
    return PlannedMember(
        account=account, role=MemberRole.EMPLOYEE, manager=True, bio="Runs the office and the calendar.", working=None
    )


def _working(week: Week, rng: Random) -> Week | None:
    """One way to work within the opening hours: always, mornings, three days, or an hour later."""
    way = rng.choice(("always", "mornings", "three_days", "late"))
    if way == "always":
        return None
    days = list(week.week)
    if way == "mornings":
        days = [day[:1] for day in days]
    elif way == "three_days":
        kept = set(rng.sample([index for index, day in enumerate(days) if day], 3))
        days = [day if index in kept else _OFF for index, day in enumerate(days)]
    else:
        days = [_an_hour_later(day) for day in days]
    monday, tuesday, wednesday, thursday, friday, saturday, sunday = days
    return Week(week=(monday, tuesday, wednesday, thursday, friday, saturday, sunday))


def _an_hour_later(day: DaySpans) -> DaySpans:
    if not day:
        return day
    return (LocalSpan(day[0].opens_minute + 60, day[0].closes_minute), *day[1:])
