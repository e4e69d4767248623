"""The ledger's accounts (rule M-2): ``<what>/<owner>/<currency>``.

Those of the system may go either way; wallets never below 0.
"""

from uuid import UUID

from protocol.wallet.terms import Purse, accounts_of


def gateway_clearing(currency: str) -> str:
    """What the payment gateway has of ours."""
    return f"system.gateway/platform/{currency}"


def escrow(currency: str) -> str:
    """What is held until a job is done."""
    return f"system.escrow/platform/{currency}"


def platform_revenue(currency: str) -> str:
    """The commissions."""
    return f"system.revenue/platform/{currency}"


def business_wallet(business_id: UUID, currency: str) -> str:
    """What a business can withdraw."""
    return accounts_of(Purse.BUSINESS, business_id) + currency


def customer_wallet(user_id: UUID, currency: str) -> str:
    """What a customer got back and can spend or withdraw."""
    return accounts_of(Purse.CUSTOMER, user_id) + currency
