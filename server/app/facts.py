"""The loaders of facts, bound to the structs that actors ask for."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from msgspec import Struct

from protocol.booking.commands import CreateBooking
from protocol.booking.facts import BookingFacts, LateSlot
from protocol.business.commands import SetAvailability
from protocol.business.facts import BusinessRecord, MemberRecord
from protocol.code.facts import ContactFacts
from protocol.conversation.facts import BookingParties, WrittenMessage
from protocol.device.commands import RegisterDevice
from protocol.device.facts import DeviceFacts
from protocol.device.terms import address_hash
from protocol.ids import BusinessId, UserId
from protocol.instants import to_utc
from protocol.notice.facts import KnownUsers
from protocol.notice.rows import Notice
from protocol.notification.facts import UnreadNotifications
from protocol.payment.terms import PaymentTerms
from protocol.preference.commands import SetContactPreferences, StopEmails
from protocol.preference.facts import PreferenceFacts
from protocol.registry import Command
from protocol.roles import Principal
from protocol.service.facts import ServiceRecord
from storage.database import Pool
from storage.queries.booking import late_slots
from storage.queries.booking_facts import BookingAsk, Catalogue, booking_facts
from storage.queries.business import MemberAsk, load_business_records, load_member_records
from storage.queries.codes import load_contact_facts
from storage.queries.conversation import load_booking_parties, load_written_messages
from storage.queries.device import find_holders
from storage.queries.notification import load_notices, load_unread
from storage.queries.payment import load_payment_terms
from storage.queries.recipient import load_known_users, load_preference_facts
from storage.queries.service import load_service_records

Ask = tuple[Command, Principal, datetime]
Loader = Callable[[Sequence[Ask]], Awaitable[Sequence[Any]]]

#: A local date is somewhere within this of the same date in UTC.
_ZONE_SPREAD = timedelta(hours=26)


def fact_loaders(pool: Pool, catalogue: Catalogue, *, private_endpoints: bool = False) -> Mapping[type[Struct], Loader]:
    """Bind each facts struct to what loads it.

    Args:
        private_endpoints: messages to browsers may go to private addresses.
    """

    async def load_booking_facts(asks: Sequence[Ask]) -> Sequence[Any]:
        return await booking_facts(pool, catalogue, [_booking_ask(*ask) for ask in asks])

    async def load_terms(asks: Sequence[Ask]) -> Sequence[Any]:
        return await load_payment_terms(pool, [_field(command, "payment_id") for command, _, _ in asks])

    async def load_business(asks: Sequence[Ask]) -> Sequence[Any]:
        return await load_business_records(pool, [_field(command, "business_id") for command, _, _ in asks])

    async def load_member(asks: Sequence[Ask]) -> Sequence[Any]:
        return await load_member_records(pool, [_member_ask(command, principal) for command, principal, _ in asks])

    async def load_service(asks: Sequence[Ask]) -> Sequence[Any]:
        return await load_service_records(pool, [_field(command, "service_id") for command, _, _ in asks])

    async def load_parties(asks: Sequence[Ask]) -> Sequence[Any]:
        return await load_booking_parties(pool, [_field(command, "conversation_id") for command, _, _ in asks])

    async def load_written(asks: Sequence[Ask]) -> Sequence[Any]:
        return await load_written_messages(pool, [_field(command, "message_id") for command, _, _ in asks])

    async def load_preferences(asks: Sequence[Ask]) -> Sequence[Any]:
        return await load_preference_facts(pool, [_reader_ask(command, principal) for command, principal, _ in asks])

    async def load_devices(asks: Sequence[Ask]) -> Sequence[Any]:
        holders = await find_holders(pool, [_device_ask(command) for command, _, _ in asks])
        return [DeviceFacts(holder=holder, private_endpoints=private_endpoints) for holder in holders]

    async def load_known(asks: Sequence[Ask]) -> Sequence[Any]:
        return await load_known_users(pool, [_field(command, "user_ids") for command, _, _ in asks])

    async def load_still_unread(asks: Sequence[Ask]) -> Sequence[Any]:
        named = [(principal.user_id, _field(command, "notification_ids")) for command, principal, _ in asks]
        return await load_unread(pool, named)

    async def load_notice(asks: Sequence[Ask]) -> Sequence[Any]:
        return await load_notices(pool, [_field(command, "notice_id") for command, _, _ in asks])

    async def load_contacts(asks: Sequence[Ask]) -> Sequence[Any]:
        return await load_contact_facts(
            pool, [(_field(command, "user_id"), _field(command, "purpose")) for command, _, _ in asks]
        )

    return {
        BookingFacts: load_booking_facts,
        LateSlot: partial(late_slots, pool),
        PaymentTerms: load_terms,
        BusinessRecord: load_business,
        MemberRecord: load_member,
        ServiceRecord: load_service,
        BookingParties: load_parties,
        WrittenMessage: load_written,
        PreferenceFacts: load_preferences,
        DeviceFacts: load_devices,
        KnownUsers: load_known,
        UnreadNotifications: load_still_unread,
        Notice: load_notice,
        ContactFacts: load_contacts,
    }


def _field(command: Command, name: str) -> Any:
    """The id that every command with these facts has."""
    return getattr(command, name)


def _member_ask(command: Command, principal: Principal) -> MemberAsk:
    if isinstance(command, SetAvailability):
        return MemberAsk(principal.business_id, command.staff_id or principal.user_id)
    return MemberAsk(_field(command, "business_id"), _field(command, "user_id"))


def _reader_ask(command: Command, principal: Principal) -> tuple[UserId, BusinessId | None]:
    user_id = command.user_id if isinstance(command, SetContactPreferences | StopEmails) else principal.user_id
    return user_id, principal.business_id


def _device_ask(command: Command) -> str | None:
    assert isinstance(command, RegisterDevice)
    address = command.subscription.endpoint if command.subscription is not None else command.token
    return None if address is None else address_hash(address)


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
