"""Terms of wallets: bounds, enums, small structs and refusals."""

from enum import StrEnum
from uuid import UUID


class WalletAccount(StrEnum):
    """The kinds of wallet account; their balance is never below 0."""

    #: A customer's refunds, which they can spend or withdraw.
    CUSTOMER = "customer.wallet"
    #: The payout balance of a business.
    BUSINESS = "business.wallet"
    #: A staff member's tips.
    TIPS = "staff.tips"


def revenue_of(business_id: UUID) -> str:
    """The prefix of a business's revenue counters; the currency follows."""
    return f"business.revenue/{business_id}/"


def accounts_of(account: WalletAccount, owner_id: UUID) -> str:
    """The prefix of an owner's accounts; the currency follows."""
    return f"{account}/{owner_id}/"
