"""Reading wallets: what is in one's own accounts, and what moved there. One statement gives each answer."""

from typing import Any
from uuid import UUID

import asyncpg
from msgspec import UNSET
from msgspec.structs import asdict

from protocol.errors import Forbidden
from protocol.ids import BookingId, Kind
from protocol.instants import Instant
from protocol.money import major_number
from protocol.roles import Principal, Role
from protocol.wallet.terms import WalletAccount, accounts_of, revenue_of
from protocol.wallet.views import GetBalance, GetStatement, StatementLine, StatementPage, WalletAmounts, WalletBalance
from storage.database import Pool
from storage.queries.page import AS_OF, Cursor
from storage.registry import answers

# $1 is the reader, $2 how the names of the accounts begin, $3 the business, $4 how the names of its counters begin.
# Names are in bytewise order, and "0" comes after "/".

_MINE = """
SELECT account, substr(account, length($2) + 1) AS currency, balance_minor FROM balances
 WHERE account >= $2 AND account < left($2, -1) || '0'
"""
#: The currency that a customer uses, and the one of a business.
_LAST_USED = "SELECT currency FROM bookings WHERE customer_id = $1 ORDER BY starts_at DESC, id DESC LIMIT 1"
_OWN = "SELECT currency FROM businesses WHERE id = $3"

#: Rows of as_of, the main currency, and for each currency (null if there is none) the amounts.
_PERSONS = f"""
SELECT a.as_of, c.currency AS main_currency, w.currency, w.balance_minor
  FROM (SELECT {AS_OF}) a
  LEFT JOIN ({{main_currency}}) c ON true
  LEFT JOIN ({_MINE}) w ON true
 ORDER BY w.currency
"""
CUSTOMERS_WALLET = _PERSONS.format(main_currency=_LAST_USED)
TIPS_WALLET = _PERSONS.format(main_currency=_OWN)
BUSINESS_WALLET = f"""
WITH mine AS MATERIALIZED ({_MINE}),
revenue AS MATERIALIZED (
    SELECT substr(name, length($4) + 1) AS currency, value AS minor FROM counters
     WHERE name >= $4 AND name < left($4, -1) || '0'),
pending AS (
    SELECT currency, sum(remaining_minor) AS minor FROM holds
     WHERE business_id = $3 AND status IN ('FUNDED', 'PENDING_CLEARANCE') GROUP BY currency)
SELECT a.as_of, c.currency AS main_currency, w.currency, coalesce(m.balance_minor, 0) AS balance_minor,
       coalesce(r.minor, 0)::bigint AS revenue_minor, coalesce(p.minor, 0)::bigint AS pending_minor
  FROM (SELECT {AS_OF}) a
  LEFT JOIN ({_OWN}) c ON true
  LEFT JOIN (SELECT currency FROM mine UNION SELECT currency FROM pending) w ON true
  LEFT JOIN mine m ON m.currency = w.currency
  LEFT JOIN revenue r ON r.currency = w.currency
  LEFT JOIN pending p ON p.currency = w.currency
 ORDER BY w.currency
"""
_NOTHING = {"balance_minor": 0, "revenue_minor": 0, "pending_minor": 0}


@answers(GetBalance)
async def get_balance(pool: Pool, query: GetBalance, principal: Principal) -> WalletBalance:
    """Show the wallet of the active role. Raises: Forbidden."""
    account, owner_id = _account_of(principal)
    accounts = accounts_of(account, owner_id)
    if account is WalletAccount.CUSTOMER:
        rows = await pool.fetch(CUSTOMERS_WALLET, principal.user_id, accounts)
    else:
        sql = TIPS_WALLET if account is WalletAccount.TIPS else BUSINESS_WALLET
        more = (revenue_of(owner_id),) if account is WalletAccount.BUSINESS else ()
        rows = await pool.fetch(sql, principal.user_id, accounts, principal.business_id, *more)
    found = {row["currency"]: _amounts(account, row["currency"], row) for row in rows if row["currency"] is not None}
    main = rows[0]["main_currency"] or next(iter(found), None)
    if main is not None and main not in found:
        found = {main: _amounts(account, main, _NOTHING), **found}
    top = found[main] if main is not None else _amounts(account, None, _NOTHING)
    return WalletBalance(
        **asdict(top),
        role=principal.role,
        credits=0 if account is WalletAccount.CUSTOMER else UNSET,
        by_currency=list(found.values()),
        as_of=rows[0]["as_of"],
    )


def _account_of(principal: Principal) -> tuple[WalletAccount, UUID]:
    """Whose wallet the active role opens: the business's for its managers, else one's own. Raises: Forbidden."""
    if principal.role is Role.CUSTOMER:
        return WalletAccount.CUSTOMER, principal.user_id
    if principal.business_id is None:
        raise Forbidden(reason="role", role=principal.role)
    return (
        (WalletAccount.BUSINESS, principal.business_id)
        if principal.manager
        else (WalletAccount.TIPS, principal.user_id)
    )


def _amounts(account: WalletAccount, currency: str | None, row: Any) -> WalletAmounts:
    """The fields that the role sees (rule M-7)."""

    def major(amount_minor: int) -> int | float:
        return 0 if currency is None else major_number(amount_minor, currency)

    balance_minor = row["balance_minor"]
    if account is WalletAccount.CUSTOMER:
        return WalletAmounts(currency=currency, balance=major(balance_minor), balance_minor=balance_minor)
    if account is WalletAccount.TIPS:
        return WalletAmounts(currency=currency, tips_only=major(balance_minor), tips_only_minor=balance_minor)
    return WalletAmounts(
        currency=currency,
        total_revenue=major(row["revenue_minor"]),
        total_revenue_minor=row["revenue_minor"],
        pending_escrow=major(row["pending_minor"]),
        pending_escrow_minor=row["pending_minor"],
        available_payout=major(balance_minor),
        available_payout_minor=balance_minor,
    )


# Statements

STATEMENT = f"""
WITH mine AS MATERIALIZED ({_MINE})
SELECT a.as_of, l.* FROM (SELECT {AS_OF}) a LEFT JOIN (
    SELECT t.* FROM mine m CROSS JOIN LATERAL (
        (SELECT id, at, reason, amount_minor, currency, kind, subject_id FROM transfers
          WHERE credit = m.account AND (at, id) < (coalesce($3, 'infinity'::timestamptz), coalesce($4, {{last_id}}))
          ORDER BY at DESC, id DESC LIMIT $5)
        UNION ALL
        (SELECT id, at, reason, -amount_minor, currency, kind, subject_id FROM transfers
          WHERE debit = m.account AND (at, id) < (coalesce($3, 'infinity'::timestamptz), coalesce($4, {{last_id}}))
          ORDER BY at DESC, id DESC LIMIT $5)) t
     ORDER BY t.at DESC, t.id DESC LIMIT $5) l ON true
 ORDER BY l.at DESC, l.id DESC
""".format(last_id="'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid")
_cursor = Cursor(tuple[Instant, UUID])


@answers(GetStatement)
async def get_statement(pool: Pool, query: GetStatement, principal: Principal) -> StatementPage:
    """Show a page of what moved in the wallet of the active role. Raises: Forbidden, Invalid."""
    after_at, after_id = _cursor.read(query.cursor) or (None, None)
    accounts = accounts_of(*_account_of(principal))
    found = await pool.fetch(STATEMENT, principal.user_id, accounts, after_at, after_id, query.limit + 1)
    rows = [row for row in found if row["id"] is not None]
    shown, next_cursor = _cursor.page(rows, query.limit, lambda row: (row["at"], row["id"]))
    return StatementPage(items=[_line(row) for row in shown], next_cursor=next_cursor, as_of=found[0]["as_of"])


def _line(row: asyncpg.Record) -> StatementLine:
    return StatementLine(
        id=row["id"],
        at=row["at"],
        reason=row["reason"],
        amount=major_number(row["amount_minor"], row["currency"]),
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        booking_id=BookingId(row["subject_id"]) if row["kind"] == Kind.BOOKING else None,
    )
