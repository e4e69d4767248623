"""The audit: what must hold over the whole database, as one query each that finds what breaks it.

Each check reads one snapshot, so they can run while the server works.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import msgspec

from protocol.ids import Kind, Ref
from storage.database import Connection, Pool

#: Offenders shown for each check.
SAMPLES_MAX = 10
#: Actors whose journals are read in one snapshot, and rows that are fetched at once.
REPLAY_PAGE = 500
ROWS_AT_ONCE = 200
#: One check, or one page.
CHECK_MAX_S = 3600.0


@dataclass(frozen=True, slots=True)
class Check:
    """One invariant. ``sql`` returns a line of text for each row that breaks it."""

    name: str
    sql: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One check and what it found; nothing is good."""

    name: str
    broken: int
    samples: tuple[str, ...]
    #: What an operator may want to know of it as well.
    says: str = ""


@dataclass(slots=True)
class Violation:
    """What one check found: all of it counted, some of it named."""

    name: str
    count: int = 0
    samples: list[str] = field(default_factory=list)

    def add(self, what: str) -> None:
        """One more."""
        self.count += 1
        if len(self.samples) < SAMPLES_MAX:
            self.samples.append(what)

    def finding(self, says: str = "") -> Finding:
        """The check's result."""
        return Finding(self.name, self.count, tuple(self.samples), says)


CHECKS = (
    Check(
        "every wallet's balance is the sum of its transfers",
        """
        WITH moves AS (
            SELECT credit AS account, amount_minor AS delta FROM transfers
            UNION ALL SELECT debit, -amount_minor FROM transfers),
        sums AS (SELECT account, sum(delta) AS total FROM moves WHERE account NOT LIKE 'system.%' GROUP BY account)
        SELECT coalesce(s.account, b.account) || ': balance ' || coalesce(b.balance_minor, 0)
               || ', transfers ' || coalesce(s.total, 0)
          FROM sums s FULL JOIN balances b ON b.account = s.account
         WHERE coalesce(b.balance_minor, 0) <> coalesce(s.total, 0)
        """,
    ),
    Check(
        "all accounts of a currency sum to zero",
        """
        WITH moves AS (
            SELECT currency, credit AS account, amount_minor AS delta FROM transfers
            UNION ALL SELECT currency, debit, -amount_minor FROM transfers)
        SELECT currency || ': ' || sum(delta) FROM moves GROUP BY currency HAVING sum(delta) <> 0
        """,
    ),
    Check(
        "escrow holds what the holds hold",
        """
        WITH escrow AS (
            SELECT currency, sum(CASE WHEN credit LIKE 'system.escrow/%' THEN amount_minor ELSE 0 END
                               - CASE WHEN debit LIKE 'system.escrow/%' THEN amount_minor ELSE 0 END) AS minor
              FROM transfers GROUP BY currency),
        held AS (
            SELECT currency, sum(remaining_minor) AS minor FROM holds GROUP BY currency)
        SELECT coalesce(e.currency, h.currency) || ': escrow ' || coalesce(e.minor, 0)
               || ', holds ' || coalesce(h.minor, 0)
          FROM escrow e FULL JOIN held h ON h.currency = e.currency WHERE coalesce(e.minor, 0) <> coalesce(h.minor, 0)
        """,
    ),
    Check(
        "a funded hold holds its whole amount, any other nothing",
        """
        SELECT id || ': ' || status || ', ' || remaining_minor || ' of ' || amount_minor FROM holds
         WHERE remaining_minor <> CASE WHEN status IN ('FUNDED', 'PENDING_CLEARANCE') THEN amount_minor ELSE 0 END
        """,
    ),
    Check(
        "a hold is resolved once: what a subject paid out is what it took in",
        """
        SELECT t.kind || '/' || t.id || ': ' || t.paid || ' payouts, ' || t.taken || ' payments' FROM (
            SELECT kind, subject_id AS id, count(*) FILTER (WHERE reason IN ('release', 'refund')) AS paid,
                   count(*) FILTER (WHERE reason IN ('payment_placed', 'wallet_paid')) AS taken
              FROM transfers GROUP BY kind, subject_id) t
         WHERE t.paid > t.taken
        """,
    ),
    Check(
        "unallocated money is what was captured, and neither placed nor returned",
        """
        WITH unallocated AS (
            SELECT currency, sum(CASE WHEN credit LIKE 'system.unallocated/%' THEN amount_minor ELSE 0 END
                               - CASE WHEN debit LIKE 'system.unallocated/%' THEN amount_minor ELSE 0 END) AS minor
              FROM transfers GROUP BY currency),
        waiting AS (
            SELECT currency, sum(minor) AS minor FROM (
                SELECT currency, amount_minor AS minor FROM payments WHERE status IN ('CAPTURED', 'REFUNDING')
                UNION ALL SELECT currency, -amount_minor FROM transfers WHERE reason = 'payment_placed') x
             GROUP BY currency)
        SELECT coalesce(u.currency, w.currency) || ': unallocated ' || coalesce(u.minor, 0)
               || ', payments ' || coalesce(w.minor, 0)
          FROM unallocated u FULL JOIN waiting w ON w.currency = u.currency
         WHERE coalesce(u.minor, 0) <> coalesce(w.minor, 0)
        """,
    ),
    Check(
        "a captured payment is placed by its subject, or one of the two has a message on its way",
        """
        SELECT p.id || ' of ' || p.subject_kind || '/' || p.subject_id FROM payments p
         WHERE p.status = 'CAPTURED'
           AND NOT EXISTS (SELECT FROM transfers t WHERE t.reason = 'payment_placed' AND t.kind = p.subject_kind
                                  AND t.subject_id = p.subject_id)
           AND NOT EXISTS (SELECT FROM agenda a WHERE a.kind = p.subject_kind AND a.actor_id = p.subject_id
                                  AND a.name IS NULL AND a.payload LIKE '%"' || p.id || '"%')
           AND NOT EXISTS (SELECT FROM agenda a WHERE a.kind = 'payment' AND a.actor_id = p.id
                                  AND a.command = 'payment.refund')
        """,
    ),
    Check(
        "a payment's read row says what its actor says",
        """
        SELECT coalesce(a.id, p.id) || ': actor ' || coalesce(a.version, 0) || ' ' || coalesce(a.state ->> 'stage', '-')
               || ', row ' || coalesce(p.version, 0) || ' ' || coalesce(p.status, '-')
          FROM (SELECT * FROM actors WHERE kind = 'payment') a FULL JOIN payments p ON p.id = a.id
         WHERE p.version IS DISTINCT FROM coalesce(a.version, 0)
            OR p.status IS DISTINCT FROM coalesce(a.state ->> 'stage', 'REQUESTED')
        """,
    ),
    Check(
        "a business's revenue counter is the sum of its releases",
        """
        WITH released AS (
            SELECT replace(credit, 'business.wallet/', 'business.revenue/') AS name, sum(amount_minor) AS minor
              FROM transfers WHERE reason = 'release' GROUP BY credit),
        counted AS (SELECT name, value FROM counters WHERE name LIKE 'business.revenue/%')
        SELECT coalesce(r.name, c.name) || ': counter ' || coalesce(c.value, 0) || ', releases ' || coalesce(r.minor, 0)
          FROM released r FULL JOIN counted c ON c.name = r.name
         WHERE coalesce(c.value, 0) <> coalesce(r.minor, 0)
        """,
    ),
    Check(
        "each user's inbox is contiguous up to its counter",
        """
        SELECT coalesce(c.user_id, i.user_id) || ': counter ' || coalesce(c.seq, 0) || ', rows ' || coalesce(i.rows, 0)
               || ' from ' || coalesce(i.first, 0) || ' to ' || coalesce(i.last, 0)
          FROM inbox_counters c
          FULL JOIN (SELECT user_id, count(*) AS rows, min(seq) AS first, max(seq) AS last
                       FROM inbox GROUP BY user_id) i
            ON i.user_id = c.user_id
         WHERE i.last IS DISTINCT FROM c.seq OR i.rows IS DISTINCT FROM i.last - i.first + 1
        """,
    ),
    Check(
        "a device that push messages go to is one of its user's",
        """
        SELECT d.device_id || ' of ' || d.user_id FROM devices d
          LEFT JOIN actors a ON a.kind = 'user' AND a.id = d.user_id
         WHERE (a.state->'devices'->'known' @> jsonb_build_array(jsonb_build_object('device_id', d.device_id)))
               IS NOT true
        """,
    ),
    Check(
        "every inbox entry points to its event",
        """
        SELECT i.user_id || ' #' || i.seq FROM inbox i
         WHERE NOT EXISTS (SELECT FROM journal j WHERE j.kind = i.kind AND j.id = i.id AND j.version = i.version)
           AND NOT EXISTS (SELECT FROM journal_archive a WHERE a.kind = i.kind AND a.id = i.id
                                  AND i.version BETWEEN a.first_version AND a.last_version)
        """,
    ),
    Check(
        "every actor's journal is contiguous up to its version",
        """
        SELECT coalesce(a.kind, j.kind) || '/' || coalesce(a.id, j.id) || ': version ' || coalesce(a.version, 0)
               || ', events ' || coalesce(j.events, 0) || ', last ' || coalesce(j.last, 0)
          FROM actors a
          FULL JOIN (SELECT kind, id, sum(events) AS events, max(last) AS last FROM (
                         SELECT kind, id, 1 AS events, version AS last FROM journal
                         UNION ALL SELECT kind, id, cardinality(types), last_version FROM journal_archive) x
                      GROUP BY kind, id) j
            ON j.kind = a.kind AND j.id = a.id
         WHERE a.version IS DISTINCT FROM j.events OR a.version IS DISTINCT FROM j.last
        """,
    ),
    Check(
        "no answered command speaks of a version that never was",
        """
        SELECT l.principal || ' ' || l.key || ': ' || l.kind || '/' || l.id || ' version ' || l.version
          FROM command_log l LEFT JOIN actors a ON a.kind = l.kind AND a.id = l.id
         WHERE l.version > coalesce(a.version, 0)
        """,
    ),
    Check(
        "a booking's read row says what its actor says",
        """
        SELECT coalesce(a.id, b.id) || ': actor ' || coalesce(a.version, 0)
               || ' ' || coalesce(a.state ->> 'status', '-')
               || ', row ' || coalesce(b.version, 0) || ' ' || coalesce(b.status, '-')
          FROM (SELECT * FROM actors WHERE kind = 'booking') a FULL JOIN bookings b ON b.id = a.id
         WHERE b.version IS DISTINCT FROM a.version OR b.status IS DISTINCT FROM a.state ->> 'status'
            OR b.staff_id::text IS DISTINCT FROM a.state ->> 'staff_id'
        """,
    ),
    Check(
        "a booking holds its staff member's time while it is on, and never else",
        """
        SELECT coalesce(b.id, s.subject_id) || ': ' || coalesce(b.status, 'no booking') || ', '
               || coalesce(s.during::text, 'no slot')
          FROM bookings b FULL JOIN (SELECT * FROM slots WHERE subject_kind = 'booking') s ON s.subject_id = b.id
         WHERE (b.status IN ('PENDING', 'CONFIRMED', 'IN_PROGRESS')) IS DISTINCT FROM (s.id IS NOT NULL)
            OR (s.id IS NOT NULL AND s.staff_id <> b.staff_id)
        """,
    ),
    Check(
        "a place of an unpaid hold belongs to an unpaid booking",
        """
        SELECT k.scope || ' ' || k.key || ': ' || coalesce(b.status || ', ' || b.payment_status, 'no booking')
          FROM unique_keys k LEFT JOIN bookings b ON b.id = k.owner
         WHERE k.scope IN ('unpaid_hold', 'unpaid_hold_with')
           AND (b.status = 'PENDING' AND b.payment_status = 'UNPAID') IS NOT true
        """,
    ),
    Check(
        "no money waits without a bound",
        """
        SELECT h.subject_kind || '/' || h.subject_id || ': ' || h.remaining_minor || ' ' || h.currency
               || ' ' || h.status
          FROM holds h
         WHERE h.remaining_minor > 0
           AND NOT EXISTS (SELECT FROM agenda a WHERE a.kind = h.subject_kind AND a.actor_id = h.subject_id
                                  AND a.name <> 'remind')
        """,
    ),
    Check(
        "a member of a business's conversation works there",
        """
        SELECT 'conversation/' || c.conversation_id || ': user/' || c.user_id || ' as ' || c.role
          FROM conversation_members c JOIN conversations t ON t.id = c.conversation_id
         WHERE t.business_id IS NOT NULL AND c.role IN ('staff', 'employee', 'owner')
           AND NOT EXISTS (SELECT FROM members m
                            WHERE m.business_id = t.business_id AND m.user_id = c.user_id AND m.active)
           AND NOT EXISTS (SELECT FROM agenda a WHERE a.kind = 'conversation' AND a.actor_id = t.id
                                  OR a.kind = 'business' AND a.actor_id = t.business_id
                                     AND a.command = 'business.release_leaver')
        """,
    ),
    Check(
        "what must happen later is in the agenda",
        """
        SELECT b.id || ': ' || b.status || ' has no timer ' || t.name
          FROM bookings b
          CROSS JOIN LATERAL (VALUES
              ('expire', b.status = 'PENDING' AND b.payment_status = 'UNPAID'),
              ('lapse', b.status = 'PENDING' AND b.payment_status = 'SECURED' AND NOT b.approved),
              ('give_up', b.status = 'DECLINED'),
              ('start_overdue', b.status = 'CONFIRMED'),
              ('end_overdue', b.status = 'IN_PROGRESS'),
              ('release', b.escrow_status = 'PENDING_CLEARANCE')) t(name, due)
         WHERE t.due
           AND NOT EXISTS (SELECT FROM agenda a WHERE a.kind = 'booking' AND a.actor_id = b.id AND a.name = t.name)
        """,
    ),
)


@asynccontextmanager
async def snapshot(pool: Pool) -> AsyncIterator[Connection]:
    """One unchanging view of the database, for no longer than one check takes: an old one keeps dead rows alive."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute(f"SET LOCAL statement_timeout = '{CHECK_MAX_S:.0f}s'")
        yield connection  # type: ignore[misc]  # a pool hands out a proxy of the connection


async def run_check(pool: Pool, check: Check) -> Finding:
    """Look for what breaks one invariant."""
    broken = Violation(check.name)
    async with snapshot(pool) as connection:
        async for row in connection.cursor(check.sql, prefetch=ROWS_AT_ONCE, timeout=CHECK_MAX_S):
            broken.add(str(row[0]))
    return broken.finding()


@dataclass(frozen=True, slots=True)
class Life:
    """An actor's kept state, to hold against its events."""

    to: Ref
    #: JSON.
    state: str
    schema: int


class JournalEntry(msgspec.Struct, frozen=True):
    """One event as it is kept; ``data`` is its JSON."""

    version: int
    type: str
    schema: int
    data: str


_LIVES = """
SELECT kind, id, state::text AS state, schema FROM actors
 WHERE $2::uuid IS NULL OR (kind, id) > ($1, $2) ORDER BY kind, id LIMIT $3
"""
#: The journals of these actors, in order; hot or archived. OFFSET 0 keeps the look-up by actor inside of the view.
JOURNALS = """
SELECT w.ord, j.version, j.type, j.schema, j.data::text AS data
  FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY w(kind, id, ord)
 CROSS JOIN LATERAL (SELECT * FROM journal_all v WHERE v.kind = w.kind AND v.id = w.id OFFSET 0) j
 ORDER BY w.ord, j.version
"""


async def lives(pool: Pool) -> AsyncIterator[Life | JournalEntry]:
    """Every actor, each followed by its events in order; never more of them in memory than a page."""
    after: tuple[str, UUID | None] = ("", None)
    while True:
        async with snapshot(pool) as connection:
            rows = await connection.fetch(_LIVES, *after, REPLAY_PAGE, timeout=CHECK_MAX_S)
            found = [Life(Ref(Kind(row["kind"]), row["id"]), row["state"], row["schema"]) for row in rows]
            refs = [life.to.kind for life in found], [life.to.id for life in found]
            shown = 0
            async for row in connection.cursor(JOURNALS, *refs, prefetch=ROWS_AT_ONCE, timeout=CHECK_MAX_S):
                while shown < row["ord"]:
                    yield found[shown]
                    shown += 1
                yield JournalEntry(row["version"], row["type"], row["schema"], row["data"])
            for life in found[shown:]:
                yield life
        if len(found) < REPLAY_PAGE:
            return
        after = found[-1].to
