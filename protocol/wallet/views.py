"""Views of wallets, and the queries that return them."""

from datetime import datetime
from uuid import UUID

from msgspec import UNSET, UnsetType

from protocol.ids import BookingId
from protocol.registry import PAGE_LIMIT_DEFAULT, PageLimit, Query, View, query
from protocol.roles import Role


class WalletAmounts(View, frozen=True, kw_only=True):
    """What is there in one currency; which fields there are depends on the role."""

    #: None: nothing has moved yet, in no currency.
    currency: str | None
    #: Staff: tips, all that is theirs.
    tips_only: float | int | UnsetType = UNSET
    tips_only_minor: int | UnsetType = UNSET
    #: Business: the total released to it, after commission.
    total_revenue: float | int | UnsetType = UNSET
    total_revenue_minor: int | UnsetType = UNSET
    #: Business: paid by customers and not yet released, before commission.
    pending_escrow: float | int | UnsetType = UNSET
    pending_escrow_minor: int | UnsetType = UNSET
    #: Business: the amount that can be paid out now.
    available_payout: float | int | UnsetType = UNSET
    available_payout_minor: int | UnsetType = UNSET
    #: Customer: the amount that can be spent or withdrawn.
    balance: float | int | UnsetType = UNSET
    balance_minor: int | UnsetType = UNSET


class WalletBalance(WalletAmounts, frozen=True, kw_only=True):
    """A wallet as its owner sees it in the active role: the main currency first, then each one."""

    role: Role
    #: Customer: counted units (rule M-11).
    credits: int | UnsetType = UNSET
    by_currency: list[WalletAmounts]
    as_of: str


class StatementLine(View, frozen=True, kw_only=True):
    """One transfer into or out of the user's own account."""

    id: UUID
    at: datetime
    #: The reason: ``release``, ``refund`` …
    reason: str
    #: Negative: an outgoing transfer.
    amount: float | int
    amount_minor: int
    currency: str
    #: The booking of the transfer; None: it has none.
    booking_id: BookingId | None


class StatementPage(View, frozen=True, kw_only=True):
    """A page of transfers, the latest first."""

    items: list[StatementLine]
    #: None: this was the last page.
    next_cursor: str | None
    as_of: str


#: The roles that have a wallet.
_HOLDERS = frozenset({Role.CUSTOMER, Role.STAFF, Role.EMPLOYEE, Role.OWNER})


@query("wallet.balance", by=_HOLDERS, view=WalletBalance, routes=("GET /wallet/balance",))
class GetBalance(Query, frozen=True, kw_only=True):
    """My wallet in the active role: a customer's balance, a staff member's tips, or the business's for its managers."""


@query("wallet.statement", by=_HOLDERS, view=StatementPage, routes=("GET /wallet/statement",))
class GetStatement(Query, frozen=True, kw_only=True):
    """The transfers of my wallet in the active role."""

    limit: PageLimit = PAGE_LIMIT_DEFAULT
    cursor: str | None = None
