"""Rights: who may see which entity now. The rule of each kind is declared beside its queries.

visible(Kind.BOOKING, "JOIN bookings b ON b.id = w.id WHERE b.customer_id = w.user_id OR …")
"""

from collections import defaultdict
from collections.abc import Collection
from uuid import UUID

from protocol.ids import Kind, Ref, UserId
from storage.database import Connection, Pool

#: Kind → SQL after ``FROM … w(user_id, id)`` that keeps the pairs whose user may see the entity.
VISIBLE: dict[Kind, str] = {}


def visible(kind: Kind, sql: str) -> None:
    """Declare who may see entities of a kind. Without a rule nobody may see them, except users themselves."""
    assert kind not in VISIBLE, f"there are two rules about who may see a {kind.value}"
    VISIBLE[kind] = sql


async def may_see(pool: Connection | Pool, user_id: UserId, refs: Collection[Ref]) -> set[Ref]:
    """Return those of the entities that a user may see now."""
    visible = await who_may_see(pool, {(user_id, ref) for ref in refs})
    return {ref for _, ref in visible}


async def who_may_see(pool: Connection | Pool, pairs: Collection[tuple[UserId, Ref]]) -> set[tuple[UserId, Ref]]:
    """Return the pairs whose user may see the entity now, by one statement."""
    visible = {(user_id, ref) for user_id, ref in pairs if ref.kind is Kind.USER and ref.id == user_id}
    wanted: defaultdict[Kind, tuple[list[UUID], list[UUID]]] = defaultdict(lambda: ([], []))
    for user_id, ref in pairs:
        if ref.kind in VISIBLE:
            user_ids, ids = wanted[ref.kind]
            user_ids.append(user_id)
            ids.append(ref.id)
    if wanted:
        kinds = sorted(wanted)
        union = " UNION ALL ".join(
            f"SELECT '{kind.value}' AS kind, w.user_id, w.id"
            f" FROM unnest(${2 * n + 1}::uuid[], ${2 * n + 2}::uuid[]) w(user_id, id) {VISIBLE[kind]}"
            for n, kind in enumerate(kinds)
        )
        rows = await pool.fetch(union, *[ids for kind in kinds for ids in wanted[kind]])
        visible.update((row["user_id"], Ref(Kind(row["kind"]), row["id"])) for row in rows)
    return visible


async def may_see_presence(pool: Connection | Pool, user_id: UserId, others: Collection[UserId]) -> set[UserId]:
    """Return the users whose presence a user may see: themselves, and those of their conversations and businesses."""
    rows = await pool.fetch(
        "SELECT o.id FROM unnest($2::uuid[]) o(id) WHERE o.id = $1"
        " OR EXISTS (SELECT FROM conversation_members a JOIN conversation_members b USING (conversation_id)"
        "            WHERE a.user_id = $1 AND b.user_id = o.id)"
        " OR EXISTS (SELECT FROM members a JOIN members b USING (business_id)"
        "            WHERE a.user_id = $1 AND a.active AND b.user_id = o.id AND b.active)",
        user_id,
        list(others),
    )
    return {row["id"] for row in rows}
