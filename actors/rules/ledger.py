"""The ledger's accounts (rule M-2): ``<what>/<owner>/<currency>``.

Those of the system may go either way; wallets never below 0.
"""

from uuid import UUID

from protocol.wallet.terms import WalletAccount, accounts_of, revenue_of

#: The reason of a transfer that is a business's revenue.
RELEASE = "release"
#: Into escrow: captured by a gateway, or from the customer's wallet.
PAYMENT_PLACED, WALLET_PAID = "payment_placed", "wallet_paid"


def gateway_clearing(currency: str) -> str:
    """What the payment gateway has of ours."""
    return f"system.gateway/platform/{currency}"


def unallocated(currency: str) -> str:
    """What a gateway has captured, and no subject has placed yet."""
    return f"system.unallocated/platform/{currency}"


def escrow(currency: str) -> str:
    """What is held until a job is done."""
    return f"system.escrow/platform/{currency}"


def platform_revenue(currency: str) -> str:
    """The commissions."""
    return f"system.revenue/platform/{currency}"


def business_wallet(business_id: UUID, currency: str) -> str:
    """What a business can withdraw."""
    return accounts_of(WalletAccount.BUSINESS, business_id) + currency


def business_revenue(business_id: UUID, currency: str) -> str:
    """The counter of all that was ever released to a business."""
    return revenue_of(business_id) + currency


def customer_wallet(user_id: UUID, currency: str) -> str:
    """What a customer got back and can spend or withdraw."""
    return accounts_of(WalletAccount.CUSTOMER, user_id) + currency
