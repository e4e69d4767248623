"""Queries of services and categories, and the loader of their facts."""

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from protocol.categories import CATEGORIES
from protocol.errors import Forbidden, NotFound
from protocol.ids import ServiceId
from protocol.money import MINOR_DIGITS, major_number
from protocol.roles import Principal
from protocol.service.facts import ServiceRecord
from protocol.service.rows import ServiceRow
from protocol.service.views import (
    CategoryList,
    CategoryView,
    GetService,
    ListCategories,
    ListServices,
    ServicePage,
    ServiceView,
)
from storage.database import Pool
from storage.queries.business import sees_all_of
from storage.queries.page import Cursor
from storage.registry import Sources, answers, loads

#: Words of one search; further ones are ignored.
SEARCH_WORDS_MAX = 8

_cursor = Cursor(tuple[datetime, UUID])
_images = msgspec.json.Decoder(tuple[str, ...])
_service = msgspec.json.Decoder(ServiceRow)

_VIEW = """
SELECT s.*, b.name AS business_name, b.owner_id, b.city, b.zone, b.latitude, b.longitude, b.is_active AS open
  FROM services s JOIN businesses b ON b.id = s.business_id
"""


def _currencies(digits: int) -> str:
    return ", ".join(f"'{code}'" for code, places in MINOR_DIGITS.items() if places == digits)


#: Minor units in one major unit of a service's currency.
_UNIT = (
    f"CASE WHEN s.currency IN ({_currencies(0)}) THEN 1 WHEN s.currency IN ({_currencies(3)}) THEN 1000 ELSE 100 END"
)


_SEARCHED = "s.title || ' ' || s.description || ' ' || b.name"
#: What a search looks through, folded as ``folded`` folds a word. Only a database in UTF-8 can normalise.
_FOLDED = rf"""replace(lower(CASE WHEN getdatabaseencoding() = 'UTF8'
    THEN regexp_replace(normalize({_SEARCHED}, NFKD), '[\u0300-\u036f]', '', 'g') ELSE {_SEARCHED} END), 'ß', 'ss')"""


class _Where:
    """The conditions of one list, and their arguments."""

    def __init__(self) -> None:
        self.conditions: list[str] = []
        self.arguments: list[Any] = []

    def add(self, condition: str, *arguments: Any) -> None:
        """Add a condition; each ``{}`` in it stands for the next argument."""
        first = len(self.arguments) + 1
        self.arguments += arguments
        self.conditions.append(condition.format(*(f"${n}" for n in range(first, len(self.arguments) + 1))))

    def __str__(self) -> str:
        return f" WHERE {' AND '.join(self.conditions)}"


@answers(ListServices)
async def list_services(pool: Pool, query: ListServices, principal: Principal | None) -> ServicePage:
    """Show a page of services, the newest first. Raises: Invalid for the cursor, Forbidden."""
    where = _filters(query, principal)
    after = _cursor.read(query.cursor)
    if after is not None:
        where.add("(s.created_at, s.id) < ({}, {})", *after)
    order = " ORDER BY s.created_at DESC, s.id DESC"
    limit = f" LIMIT {query.limit + 1:d}"
    rows = await pool.fetch(_VIEW + str(where) + order + limit, *where.arguments)
    shown, following = _cursor.page(rows, query.limit, lambda row: (row["created_at"], row["id"]))
    return ServicePage(items=tuple([_view(row) for row in shown]), next_cursor=following)


def _filters(query: ListServices, principal: Principal | None) -> _Where:
    where = _Where()
    manages = query.business_id is not None and principal is not None and principal.manages(query.business_id)
    if query.is_active:
        where.add("s.is_active" if manages else "s.is_active AND b.is_active")
    elif manages:
        where.add("NOT s.is_active")
    else:
        raise Forbidden(reason="managers_only")
    if query.business_id is not None:
        where.add("s.business_id = {}", query.business_id)
    if query.category is not None:
        where.add("s.category = {}", query.category)
    if query.currency is not None:
        where.add("s.currency = {}", query.currency)
    if query.price_min is not None:
        where.add(f"s.price_minor >= {{}}::numeric * {_UNIT}", Decimal(str(query.price_min)))
    if query.price_max is not None:
        where.add(f"s.price_minor <= {{}}::numeric * {_UNIT}", Decimal(str(query.price_max)))
    for word in (query.search or "").split()[:SEARCH_WORDS_MAX]:
        where.add(f"strpos({_FOLDED}, lower({{}})) > 0", folded(word))
    return where


def folded(word: str) -> str:
    """A word as a search compares it, apart from its case: without accents and ligatures, ``ß`` as ``ss``."""
    plain = unicodedata.normalize("NFKD", word.replace("ẞ", "ß"))
    return "".join([char for char in plain if not "\u0300" <= char <= "\u036f"]).replace("ß", "ss")


@answers(GetService)
async def get_service(pool: Pool, query: GetService, principal: Principal | None) -> ServiceView:
    """Show one service; an inactive one only to those who act for its business, and to admins. Raises: NotFound."""
    row = await pool.fetchrow(_VIEW + " WHERE s.id = $1", query.service_id)
    if row is None or not ((row["is_active"] and row["open"]) or sees_all_of(row["business_id"], principal)):
        raise NotFound(entity="service", id=str(query.service_id))
    return _view(row)


def _view(row: asyncpg.Record) -> ServiceView:
    return ServiceView(
        id=row["id"],
        business_id=row["business_id"],
        business_name=row["business_name"],
        provider_id=row["owner_id"],
        category_id=row["category"],
        title=row["title"],
        description=row["description"],
        price=major_number(row["price_minor"], row["currency"]),
        price_minor=row["price_minor"],
        currency=row["currency"],
        credits_required=row["credits_required"],
        duration_minutes=row["duration_minutes"],
        buffer_before_minutes=row["buffer_before_minutes"],
        buffer_after_minutes=row["buffer_after_minutes"],
        images=_images.decode(row["images"]),
        city=row["city"],
        zone=row["zone"],
        latitude=row["latitude"],
        longitude=row["longitude"],
        is_active=row["is_active"],
        created_at=row["created_at"],
    )


@answers(ListCategories)
async def list_categories(pool: Pool, query: ListCategories, principal: Principal | None) -> CategoryList:
    """Show all categories with their number of services."""
    rows = await pool.fetch(
        "SELECT s.category, count(*) AS services FROM services s JOIN businesses b ON b.id = s.business_id"
        " WHERE s.is_active AND b.is_active GROUP BY s.category"
    )
    counts = {row["category"]: row["services"] for row in rows}
    return CategoryList(
        items=tuple(
            CategoryView(
                id=category.id,
                name=category.name(query.lang),
                icon=category.icon,
                color=category.color,
                services=counts.get(category.id, 0),
            )
            for category in CATEGORIES.values()
        )
    )


@loads(ServiceRecord)
async def load_service_records(sources: Sources, service_ids: Sequence[ServiceId]) -> list[ServiceRecord]:
    """Read the rows and the staff of services, in the order asked for."""
    rows = await sources.pool.fetch(
        "SELECT s.id, to_jsonb(s)::text AS service,"
        " ARRAY(SELECT o.staff_id FROM service_staff o WHERE o.service_id = s.id ORDER BY o.staff_id) AS staff_ids"
        " FROM services s WHERE s.id = ANY ($1)",
        service_ids,
    )
    found = {
        row["id"]: ServiceRecord(row=_service.decode(row["service"]), staff_ids=tuple(row["staff_ids"])) for row in rows
    }
    return [found.get(service_id) or ServiceRecord(row=None, staff_ids=()) for service_id in service_ids]
