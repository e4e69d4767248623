"""Terms of wallets: bounds, enums, small structs and refusals."""

from enum import StrEnum
from uuid import UUID


class WalletAccount(StrEnum):
    """The kinds of account that belong to somebody; never below 0."""

    #: What a customer got back and can spend or withdraw.
    CUSTOMER = "customer.wallet"
    #: What a business can withdraw.
    BUSINESS = "business.wallet"
    #: What a staff member was given.
    TIPS = "staff.tips"


def revenue_of(business_id: UUID) -> str:
    """How the names of a business's revenue counters begin; the currency follows."""
    return f"business.revenue/{business_id}/"


def accounts_of(account: WalletAccount, owner_id: UUID) -> str:
    """How the names of somebody's accounts begin; the currency follows."""
    return f"{account}/{owner_id}/"
