"""The loaders of facts, bound to the structs that actors ask for."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct

from protocol.booking.commands import CreateBooking
from protocol.booking_facts import BookingFacts
from protocol.catalogue import Command
from protocol.instants import to_utc
from protocol.roles import Principal
from storage.database import Pool
from storage.queries.booking_facts import BookingAsk, Catalogue, booking_facts

Ask = tuple[Command, Principal, datetime]
Loader = Callable[[Sequence[Ask]], Awaitable[Sequence[Any]]]

#: A local date is somewhere within this of the same date in UTC.
_ZONE_SPREAD = timedelta(hours=26)


def fact_loaders(pool: Pool, catalogue: Catalogue) -> Mapping[type[Struct], Loader]:
    """Bind each facts struct to what loads it."""

    async def load_booking_facts(asks: Sequence[Ask]) -> Sequence[Any]:
        return await booking_facts(pool, catalogue, [_booking_ask(*ask) for ask in asks])

    return {BookingFacts: load_booking_facts}


def _booking_ask(command: Command, principal: Principal, now: datetime) -> BookingAsk:
    assert isinstance(command, CreateBooking)
    from_at, to_at = _around(command, now)
    return BookingAsk(command.service_id, command.staff_id, principal.user_id, from_at, to_at, now)


def _around(command: CreateBooking, now: datetime) -> tuple[datetime, datetime]:
    """Between which instants the asked start lies; the actor itself refuses what is no time at all."""
    if command.start_at is not None:
        start_at = to_utc(command.start_at)
        return start_at, start_at
    try:
        day_at = datetime.fromisoformat(command.scheduled_date or "").replace(tzinfo=UTC)
        return day_at - _ZONE_SPREAD, day_at + timedelta(days=1) + _ZONE_SPREAD
    except (ValueError, OverflowError):
        return now, now
