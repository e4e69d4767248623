"""Queries of businesses, and the loaders of their facts."""

from collections.abc import Sequence

import asyncpg
import msgspec

from protocol.booking.facts import RATING_PRIOR
from protocol.booking.terms import NEEDS_STAFF
from protocol.business.facts import LEAVER_PAGE, BusinessRecord, LeaverAsk, LeaverWork, MemberAsk, MemberRecord
from protocol.business.rows import BusinessMemberRow, BusinessRow
from protocol.business.views import (
    AvailabilityView,
    BusinessView,
    GetAvailability,
    GetBusiness,
    ListStaff,
    OpenBooking,
    StaffList,
    StaffView,
)
from protocol.errors import Forbidden, NotFound, Unauthenticated
from protocol.ids import BusinessId, Kind, Ref
from protocol.roles import Principal, Role
from storage.database import Pool
from storage.offers import decode_hours
from storage.queries.constants import constants
from storage.queries.page import AS_OF
from storage.registry import Sources, answers, loads
from storage.rights import visible

visible(
    Kind.BUSINESS,
    "WHERE EXISTS (SELECT FROM members m WHERE m.business_id = w.id AND m.user_id = w.user_id AND m.active)",
)

_business = msgspec.json.Decoder(BusinessRow)
_members = msgspec.json.Decoder(tuple[BusinessMemberRow, ...])
_open_bookings = msgspec.json.Decoder(tuple[OpenBooking, ...])
_member = msgspec.json.Decoder(BusinessMemberRow)


# Queries


@answers(GetBusiness)
async def get_business(pool: Pool, query: GetBusiness, principal: Principal | None) -> BusinessView:
    """Show one business; an inactive one only to those who act for it, and to admins. Raises: NotFound."""
    row = await pool.fetchrow(
        "SELECT b.*, (SELECT array_agg(m.user_id) = ARRAY[b.owner_id] FROM members m"
        " WHERE m.business_id = b.id AND m.active AND m.serves) AS solo FROM businesses b WHERE b.id = $1",
        query.business_id,
    )
    if row is None or not (row["is_active"] or sees_all_of(query.business_id, principal)):
        raise NotFound(entity=Kind.BUSINESS.value, id=str(query.business_id))
    return BusinessView(
        id=row["id"],
        owner_id=row["owner_id"],
        name=row["name"],
        category_id=row["category"],
        description=row["description"],
        city=row["city"],
        zone=row["zone"],
        currency=row["currency"],
        latitude=row["latitude"],
        longitude=row["longitude"],
        hours=decode_hours(row["hours"]),
        lead_time_minutes=row["lead_time_minutes"],
        is_active=row["is_active"],
        account_type="individual" if row["solo"] else "business",
        created_at=row["created_at"],
    )


def sees_all_of(business_id: BusinessId, principal: Principal | None) -> bool:
    """Whether the principal sees inactive entries too: members who act for the business, and admins."""
    return principal is not None and (principal.business_id == business_id or principal.role is Role.ADMIN)


_STAFF = """
SELECT m.user_id, m.bio, m.user_id = b.owner_id AS is_owner, coalesce(p.name, '') AS name, p.profile_image_url,
       ARRAY(SELECT s.id FROM service_staff o JOIN services s ON s.id = o.service_id
              WHERE o.staff_id = m.user_id AND s.business_id = m.business_id AND s.is_active
              ORDER BY s.created_at, s.id) AS service_ids
  FROM businesses b
  LEFT JOIN members m ON m.business_id = b.id AND m.active AND m.serves
  LEFT JOIN people p ON p.user_id = m.user_id
 WHERE b.id = $1 AND (b.is_active OR $2)
 ORDER BY m.joined_at, m.user_id
"""


@answers(ListStaff)
async def list_staff(pool: Pool, query: ListStaff, principal: Principal | None) -> StaffList:
    """Show the staff of a business. Raises: NotFound."""
    rows = await pool.fetch(_STAFF, query.business_id, sees_all_of(query.business_id, principal))
    if not rows:
        raise NotFound(entity=Kind.BUSINESS.value, id=str(query.business_id))
    staff = [
        StaffView(
            staff_id=row["user_id"],
            name=row["name"],
            profile_image_url=row["profile_image_url"],
            is_owner=row["is_owner"],
            bio=row["bio"],
            rating=RATING_PRIOR,
            service_ids=tuple(row["service_ids"]),
        )
        for row in rows
        if row["user_id"] is not None
    ]
    return StaffList(business_id=query.business_id, items=tuple(staff))


_AVAILABILITY = f"""
SELECT {AS_OF}, m.working, b.hours, b.zone
  FROM members m JOIN businesses b ON b.id = m.business_id
 WHERE m.business_id = $2 AND m.user_id = $3 AND m.active
"""


@answers(GetAvailability)
async def get_availability(pool: Pool, query: GetAvailability, principal: Principal | None) -> AvailabilityView:
    """Show a member's working hours. Raises: Unauthenticated, Forbidden, NotFound."""
    if principal is None:
        raise Unauthenticated(reason="missing_token")
    business_id = principal.business_id
    if business_id is None:
        raise Forbidden(reason="no_business")
    staff_id = query.staff_id or principal.user_id
    if staff_id != principal.user_id and not principal.manages(business_id):
        raise Forbidden(reason="managers_only")
    row = await pool.fetchrow(_AVAILABILITY, principal.user_id, business_id, staff_id)
    if row is None:
        raise NotFound(entity="member", id=str(staff_id))
    return AvailabilityView(
        business_id=business_id,
        staff_id=staff_id,
        zone=row["zone"],
        working=decode_hours(row["working"]) if row["working"] else None,
        hours=decode_hours(row["hours"]),
        as_of=row["as_of"],
    )


# Facts


@loads(BusinessRecord)
async def load_business_records(sources: Sources, business_ids: Sequence[BusinessId]) -> list[BusinessRecord]:
    """Read the rows of businesses and of their members, in the order asked for."""
    rows = await sources.pool.fetch(
        "SELECT b.id, to_jsonb(b)::text AS business,"
        " (SELECT coalesce(jsonb_agg(m), '[]')::text FROM members m WHERE m.business_id = b.id AND m.active) AS members"
        " FROM businesses b WHERE b.id = ANY ($1)",
        business_ids,
    )
    found = {row["id"]: _business_record(row) for row in rows}
    return [found.get(business_id) or BusinessRecord(row=None, members=()) for business_id in business_ids]


def _business_record(row: asyncpg.Record) -> BusinessRecord:
    return BusinessRecord(row=_business.decode(row["business"]), members=_members.decode(row["members"]))


_MEMBERS = f"""
SELECT to_jsonb(m)::text AS member,
       coalesce((SELECT jsonb_agg(jsonb_build_object('id', b.id, 'number', b.number) ORDER BY b.id) FROM (
           SELECT id, number FROM bookings
            WHERE staff_id = w.user_id AND business_id = w.business_id AND status IN ({constants(NEEDS_STAFF)})
            ORDER BY id LIMIT {LEAVER_PAGE}) b), '[]')::text AS open_bookings,
       ARRAY(SELECT s.id FROM service_staff o JOIN services s ON s.id = o.service_id
              WHERE o.staff_id = w.user_id AND s.business_id = w.business_id) AS service_ids
  FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY w(business_id, user_id, ord)
  LEFT JOIN members m ON m.business_id = w.business_id AND m.user_id = w.user_id
 ORDER BY w.ord
"""


@loads(MemberRecord)
async def load_member_records(sources: Sources, asks: Sequence[MemberAsk]) -> list[MemberRecord]:
    """Read users with their membership of a business, in the order asked for."""
    rows = await sources.pool.fetch(_MEMBERS, [ask.business_id for ask in asks], [ask.user_id for ask in asks])
    return [
        MemberRecord(
            row=_member.decode(row["member"]) if row["member"] else None,
            service_ids=tuple(row["service_ids"]),
            open_bookings=_open_bookings.decode(row["open_bookings"]),
        )
        for row in rows
    ]


_LEAVERS = f"""
SELECT w.ord, l.kind, l.id
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) WITH ORDINALITY w(business_id, user_id, after, ord)
 CROSS JOIN LATERAL (
    SELECT 'booking' AS kind, b.id FROM bookings b
     WHERE b.staff_id = w.user_id AND b.business_id = w.business_id AND b.status IN ({constants(NEEDS_STAFF)})
       AND b.staff_left_at IS NULL AND (w.after IS NULL OR b.id > w.after)
    UNION ALL
    SELECT 'conversation', t.id FROM conversation_members c JOIN conversations t ON t.id = c.conversation_id
     WHERE c.user_id = w.user_id AND c.role <> 'customer' AND t.business_id = w.business_id
       AND (w.after IS NULL OR t.id > w.after)
     ORDER BY id, kind LIMIT {LEAVER_PAGE} + 1) l
 ORDER BY w.ord, l.id, l.kind
"""


@loads(LeaverWork)
async def load_leaver_work(sources: Sources, asks: Sequence[LeaverAsk]) -> list[LeaverWork]:
    """Read a page of what each leaver still takes part in."""
    rows = await sources.pool.fetch(_LEAVERS, *map(list, zip(*asks, strict=True)))
    return [_work([row for row in rows if row["ord"] == ord_]) for ord_ in range(1, len(asks) + 1)]


def _work(rows: Sequence[asyncpg.Record]) -> LeaverWork:
    """A page; a booking and its conversation have one id, and the last id of a full page is left to the next one."""
    page = rows
    if len(rows) > LEAVER_PAGE:
        page = [row for row in rows if row["id"] != rows[-1]["id"]]
    return LeaverWork(
        refs=tuple([Ref(Kind(row["kind"]), row["id"]) for row in page]),
        next_after=page[-1]["id"] if len(page) < len(rows) else None,
    )
