"""What can be paid for: a kind of actor says here which commands tell it of its payments."""

from typing import Any, NamedTuple

from protocol.ids import Kind, PaymentId, Ref
from protocol.money import Money
from protocol.registry import BY_TYPE, Command

CommandType = type[Command]


class Payable(NamedTuple):
    """The commands by which a payment tells its subject what happened.

    Each has the fields ``<kind>_id``, ``payment_id``, ``payment_version``, ``amount_minor`` and ``currency``.
    """

    captured: CommandType
    returned: CommandType


PAYABLE: dict[Kind, Payable] = {}


def payable(kind: Kind, payable: Payable) -> None:
    """Declare that actors of this kind are paid for."""
    assert kind not in PAYABLE, f"{kind} is declared twice"
    PAYABLE[kind] = payable


def message(to: CommandType, subject: Ref, payment_id: PaymentId, version: int, amount: Money) -> Command:
    """Tell a subject of its payment, as of the payment's version."""
    key = BY_TYPE[to].key
    assert key is not None, f"{to.__name__} names no actor"
    fields: dict[str, Any] = {key: subject.id}
    return to(
        **fields,
        payment_id=payment_id,
        payment_version=version,
        amount_minor=amount.amount_minor,
        currency=amount.currency,
    )
