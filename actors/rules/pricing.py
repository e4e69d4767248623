"""The price of a booking: a snapshot taken when it is made, which only a choice of the customer changes."""

from actors.rules.money import half_up
from protocol.money import Money, PriceSnapshot

#: The owner as staff costs one and a half times the price (rule B-9), as a fraction.
OWNER_NUMERATOR = 3
OWNER_DENOMINATOR = 2
#: The highest price of a service; the premium and sums over hundreds of bookings stay within ``AMOUNT_MINOR_MAX``.
PRICE_MINOR_MAX = 10**12


def price_snapshot(price: Money, *, staff_is_owner: bool, others_offering: int) -> PriceSnapshot:
    """Price a service for the staff member who does it (rule B-9).

    The owner costs × 1.5, half up, but only where the customer had a choice: another active staff member offers the
    service. A solo provider costs the plain price.

    Args:
        others_offering: active staff members other than the chosen one who offer the service.
    """
    base_minor = price.amount_minor
    total = price
    if staff_is_owner and others_offering > 0:
        total = Money(half_up(base_minor, OWNER_NUMERATOR, OWNER_DENOMINATOR), price.currency)
    return PriceSnapshot(
        base_minor=base_minor,
        owner_premium_minor=total.amount_minor - base_minor,
        currency=price.currency,
    )
