"""Reading bookings: one for its parties, lists for each role, the journal, and whether a late payment's time is free.

A list and its ``as_of`` are one statement, so of one snapshot. Who the customer is and where to go is shown to the
provider only while the job is on (rule B-24).
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from protocol.booking.rows import BookingRow
from protocol.booking.terms import PHASES, BookingStatus, Phase
from protocol.booking.views import (
    BookingDetail,
    BookingPage,
    BookingView,
    CustomerContact,
    GetBooking,
    GetTimeline,
    ListBookings,
    ListJobs,
    Remark,
    booking_view,
)
from protocol.errors import Forbidden, Invalid, NotFound
from protocol.events import EVENTS, Event
from protocol.ids import BookingId, Kind, UserId, read_number
from protocol.instants import Instant
from protocol.roles import PROVIDERS, Principal, Role
from storage.database import Pool
from storage.queries.constants import constants
from storage.queries.page import AS_OF, Cursor
from storage.queries.user import load_names
from storage.registry import answers
from storage.rights import visible

visible(
    Kind.BOOKING,
    "JOIN bookings b ON b.id = w.id WHERE b.customer_id = w.user_id"
    " OR EXISTS (SELECT FROM members m WHERE m.business_id = b.business_id AND m.user_id = w.user_id AND m.active"
    " AND (m.manager OR b.staff_id = w.user_id AND b.staff_left_at IS NULL))",
)

#: Events of one booking that are told; its life has some twenty.
TIMELINE_MAX = 500

_S = BookingStatus
#: In these the assigned staff member sees how to reach the customer.
_JOB_IS_ON = frozenset({_S.CONFIRMED, _S.IN_PROGRESS})
#: A customer with one of these is known to the business's managers.
_WAS_CONFIRMED = (_S.CONFIRMED, _S.IN_PROGRESS, _S.COMPLETED)


# One booking

_COLUMNS = """b.id, b.number, b.status, b.customer_id, b.business_id, b.staff_id, b.service_id, b.title, b.starts_at,
       b.ends_at, b.local_start, b.zone, b.total_amount_minor, b.currency, b.payment_method, b.payment_status,
       b.escrow_status, b.approved, b.reason_code, b.actual_start_at, b.actual_end_at, b.created_at, b.version,
       b.staff_left_at"""

_ONE = f"""
SELECT {AS_OF}, {_COLUMNS}, n.notes, n.address, n.latitude, n.longitude, p.name, p.phone_number, p.email, r.remarks,
       EXISTS (SELECT FROM bookings o
                WHERE o.customer_id = b.customer_id AND o.business_id = b.business_id
                  AND o.status IN ({constants(_WAS_CONFIRMED)})) AS was_confirmed
  FROM bookings b
  LEFT JOIN booking_notes n ON n.booking_id = b.id
  LEFT JOIN people p ON p.user_id = b.customer_id
  LEFT JOIN LATERAL (
      SELECT coalesce(jsonb_agg(jsonb_build_object('author_id', author_id, 'about', about, 'text', text,
                                                   'written_at', written_at) ORDER BY id), '[]') AS remarks
        FROM booking_remarks
       WHERE booking_id = b.id AND (audience = 'parties' OR author_id = $1 OR b.business_id = $3)) r ON true
 WHERE b.id = $2
"""
_remarks = msgspec.json.Decoder(list[Remark])


@answers(GetBooking)
async def get_booking(pool: Pool, query: GetBooking, principal: Principal) -> BookingDetail:
    """Show a booking to one of its parties. Raises: NotFound."""
    managed = principal.business_id if principal.manager else None
    row = await pool.fetchrow(_ONE, principal.user_id, query.booking_id, managed)
    if row is None or not _is_party(row, principal):
        raise NotFound(entity="booking", id=str(query.booking_id))
    private = _may_contact(row, principal)
    return BookingDetail(
        **asdict(_view(row)),
        notes=row["notes"] if private else None,
        customer_contact=_contact(row) if private else None,
        remarks=_remarks.decode(row["remarks"]),
        as_of=row["as_of"],
    )


def _is_party(row: asyncpg.Record, principal: Principal) -> bool:
    if principal.user_id == row["customer_id"] or principal.manages(row["business_id"]):
        return True
    acts_for_it = principal.business_id == row["business_id"]
    return acts_for_it and principal.user_id == row["staff_id"] and row["staff_left_at"] is None


def _may_contact(row: asyncpg.Record, principal: Principal) -> bool:
    """Whether to show what the customer wrote and how to reach them; what they wrote may say how, too."""
    if principal.user_id == row["customer_id"]:
        return True
    if principal.manages(row["business_id"]):
        return bool(row["was_confirmed"])
    return principal.business_id == row["business_id"] and row["status"] in _JOB_IS_ON


def _contact(row: asyncpg.Record) -> CustomerContact | None:
    """None: the customer's account was erased."""
    if row["name"] is None:
        return None
    return CustomerContact(
        name=row["name"],
        phone_number=row["phone_number"],
        email=row["email"],
        address=row["address"] or "",
        latitude=row["latitude"],
        longitude=row["longitude"],
    )


def _view(row: asyncpg.Record) -> BookingView:
    values = {name: row[name] for name in BookingRow.__struct_fields__}
    return booking_view(BookingRow(**{**values, "status": BookingStatus(row["status"])}))


# Lists. $1 is the reader, $2 the business that they act for.

_CUSTOMERS = "b.customer_id = $1 AND $2::uuid IS NULL"
_STAFFS = "b.staff_id = $1 AND b.business_id = $2 AND b.staff_left_at IS NULL"
_BUSINESSES = "b.business_id = $2"
_NUMBERED = "b.number = $6"

_LIST = f"""
SELECT a.as_of, l.* FROM (SELECT {AS_OF}) a LEFT JOIN (
    SELECT {_COLUMNS} FROM bookings b
     WHERE {{whose}} AND {{which}} AND (b.starts_at, b.id)
           < (coalesce($3, 'infinity'::timestamptz), coalesce($4, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
     ORDER BY b.starts_at DESC, b.id DESC LIMIT $5) l ON true
 ORDER BY l.starts_at DESC, l.id DESC
"""
_cursor = Cursor(tuple[Instant, UUID])


@answers(ListBookings)
async def list_bookings(pool: Pool, query: ListBookings, principal: Principal) -> BookingPage:
    """Show a page of the reader's bookings in the active role. Raises: Forbidden, Invalid."""
    return await _page(pool, query, principal, _which(query.status))


@answers(ListJobs)
async def list_jobs(pool: Pool, query: ListJobs, principal: Principal) -> BookingPage:
    """Show a page of what waits for the provider's approval, or of another status. Raises: Forbidden, Invalid."""
    waiting = "b.status = 'PENDING' AND NOT b.approved"
    return await _page(pool, query, principal, waiting if query.status is None else _which(query.status))


async def _page(pool: Pool, query: ListBookings | ListJobs, principal: Principal, which: str) -> BookingPage:
    after_at, after_id = _cursor.read(query.cursor) or (None, None)
    acting_for = None if principal.role is Role.CUSTOMER else principal.business_id
    arguments: list[object] = [principal.user_id, acting_for, after_at, after_id, query.limit + 1]
    if query.number is not None:
        which, number = f"{which} AND {_NUMBERED}", read_number(query.number)
        if number is None:
            raise Invalid(number="bad_format")
        arguments.append(number)
    found = await pool.fetch(listing(_whose(principal), which), *arguments)
    rows = [row for row in found if row["id"] is not None]
    shown, next_cursor = _cursor.page(rows, query.limit, lambda row: (row["starts_at"], row["id"]))
    items = [_view(row) for row in shown]
    return BookingPage(items=items, next_cursor=next_cursor, as_of=found[0]["as_of"])


def listing(whose: str, which: str) -> str:
    """The statement of one kind of list; both parts are SQL of our own."""
    return _LIST.format(whose=whose, which=which)


def _whose(principal: Principal) -> str:
    """Whose bookings the active role shows. Raises: Forbidden."""
    if principal.role is Role.CUSTOMER:
        return _CUSTOMERS
    if principal.role not in PROVIDERS or principal.business_id is None:
        raise Forbidden(reason="role", role=principal.role)
    return _BUSINESSES if principal.manager else _STAFFS


def _which(status: str | None) -> str:
    """The condition for a status or a phase, as constants, so that partial indexes apply. Raises: Invalid."""
    if status is None:
        return "true"
    statuses: Iterable[BookingStatus]
    if status in BookingStatus.__members__:
        statuses = (BookingStatus(status),)
    elif status in set(Phase):
        statuses = [one for one, phase in PHASES.items() if phase == status]
    else:
        raise Invalid(status="unknown_value")
    return f"b.status IN ({constants(statuses)})"


# The journal


class StoryEntry(Struct, frozen=True, kw_only=True):
    """One event as it is kept."""

    version: int
    at: datetime
    type: str
    #: None: this server knows no such event.
    event: Event | None
    by: UserId


class Story(Struct, frozen=True, kw_only=True):
    """All that happened to a booking, and what it takes to tell it."""

    booking_id: BookingId
    number: str
    zone: str
    customer_id: UserId
    staff_id: UserId
    entries: list[StoryEntry]
    #: Who was erased is not among them.
    names: dict[UserId, str]


_STORY = f"""
SELECT b.id, b.number, b.zone, b.customer_id, b.staff_id, b.staff_left_at, b.business_id,
       j.version, j.at, j.type, j.data, j.principal
  FROM bookings b JOIN journal_all j ON j.kind = 'booking' AND j.id = b.id
 WHERE b.id = $1 ORDER BY j.version LIMIT {TIMELINE_MAX}
"""


async def get_story(pool: Pool, query: GetTimeline, principal: Principal) -> Story:
    """Read a booking's journal for one of its parties. Raises: NotFound."""
    rows = await pool.fetch(_STORY, query.booking_id)
    if not rows or not _is_party(rows[0], principal):
        raise NotFound(entity="booking", id=str(query.booking_id))
    entries = [
        StoryEntry(version=row["version"], at=row["at"], type=row["type"], event=_event(row), by=row["principal"])
        for row in rows
    ]
    about = rows[0]
    people = {about["customer_id"], about["staff_id"], *[entry.by for entry in entries]}
    people |= {getattr(entry.event, "staff_id", entry.by) for entry in entries}
    return Story(
        booking_id=about["id"],
        number=about["number"],
        zone=about["zone"],
        customer_id=about["customer_id"],
        staff_id=about["staff_id"],
        entries=entries,
        names=await load_names(pool, people),
    )


def _event(row: asyncpg.Record) -> Event | None:
    known = EVENTS.get(row["type"])
    return None if known is None else msgspec.json.decode(row["data"], type=known)
