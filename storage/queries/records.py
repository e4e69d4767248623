"""Queries of owned records, and the loader of their facts."""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

from protocol.errors import Forbidden
from protocol.ids import Kind
from protocol.instants import Instant
from protocol.nouns import import_nouns
from protocol.records import RECORDS, Readers, Record, RecordAsk, RecordFacts
from protocol.roles import Principal
from storage.database import Pool
from storage.queries.page import AS_OF, Cursor
from storage.registry import Sources, answers, loads

_cursor = Cursor(tuple[Instant, UUID])

#: $1 is the reader, $2 the owner. The index of each table is in this order.
_PAGE = f"""
SELECT a.as_of, r.* FROM (SELECT {AS_OF}) a LEFT JOIN LATERAL (
    SELECT * FROM {{table}} WHERE owner_id = $2 AND (put_at, id)
           < (coalesce($3, 'infinity'::timestamptz), coalesce($4, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid))
     ORDER BY put_at DESC, id DESC LIMIT $5) r ON true
 ORDER BY r.put_at DESC, r.id DESC
"""


def page_of(record: Record) -> str:
    """The SQL that reads a page of an owner's records."""
    return _PAGE.format(table=record.plural)


async def list_records(record: Record, pool: Pool, query: Any, principal: Principal) -> Any:
    """Show a page of the sender's records. Raises: Forbidden, Invalid."""
    after_at, after_id = _cursor.read(query.cursor) or (None, None)
    owner_id = _owner_id(record, principal)
    found = await pool.fetch(page_of(record), principal.user_id, owner_id, after_at, after_id, query.limit + 1)
    rows = [row for row in found if row["id"] is not None]
    shown, next_cursor = _cursor.page(rows, query.limit, lambda row: (row["put_at"], row["id"]))
    names = record.View.__struct_fields__
    items = [record.View(**{name: row[name] for name in names}) for row in shown]
    return record.Page(items=items, next_cursor=next_cursor, as_of=found[0]["as_of"])


def _owner_id(record: Record, principal: Principal) -> UUID:
    """The owner of the records that the sender lists. Raises: Forbidden."""
    if record.owner is Kind.USER:
        return principal.user_id
    if principal.business_id is None:
        raise Forbidden(reason="no_business")
    if record.readers is Readers.MANAGERS and not principal.manages(principal.business_id):
        raise Forbidden(reason="managers_only")
    return principal.business_id


@loads(RecordFacts)
async def load_record_facts(sources: Sources, asks: Sequence[RecordAsk]) -> list[RecordFacts]:
    """Read the places of owners' records, one statement for each kind of record, in the order asked for."""
    owners: defaultdict[str, set[UUID]] = defaultdict(set)
    for ask in asks:
        owners[ask.name].add(ask.owner_id)
    places: dict[tuple[str, UUID], dict[UUID, int]] = {}
    for name, owner_ids in owners.items():
        table = RECORDS[name].plural
        sql = f"SELECT owner_id, id, place FROM {table} WHERE owner_id = ANY ($1::uuid[])"
        for row in await sources.pool.fetch(sql, list(owner_ids)):
            places.setdefault((name, row["owner_id"]), {})[row["id"]] = row["place"]
    return [_facts(places.get((ask.name, ask.owner_id), {}), ask.record_id) for ask in asks]


def _facts(places: dict[UUID, int], record_id: UUID | None) -> RecordFacts:
    place = None if record_id is None else places.get(record_id)
    return RecordFacts(place=place, taken=frozenset(places.values()))


import_nouns()
for _record in RECORDS.values():
    answers(_record.List)(partial(list_records, _record))
