"""The owner costs × 1.5 where the customer had a choice; half a minor unit goes up (rule B-9)."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.rules.pricing import price_snapshot
from protocol.money import AMOUNT_MINOR_MAX, AmountTooLarge, Money

prices = st.integers(0, AMOUNT_MINOR_MAX * 2 // 3)


@given(prices)
def test_the_owner_costs_half_as_much_again_rounded_half_up(base_minor: int) -> None:
    price = price_snapshot(Money(base_minor, "EUR"), staff_is_owner=True, others_offering=1)

    assert price.total_minor == (base_minor * Decimal("1.5")).quantize(Decimal(1), ROUND_HALF_UP)
    assert price.base_minor == base_minor


@pytest.mark.parametrize(
    ("base_minor", "currency", "total_minor"),
    [
        (1, "EUR", 2),
        (3, "EUR", 5),
        (4_999, "EUR", 7_499),
        (5_001, "EUR", 7_502),
        (5_000, "EUR", 7_500),
        (1_235, "JPY", 1_853),
        (10_105, "KWD", 15_158),
        (0, "EUR", 0),
    ],
)
def test_odd_amounts_go_up_in_the_currency_s_own_minor_unit(base_minor: int, currency: str, total_minor: int) -> None:
    price = price_snapshot(Money(base_minor, currency), staff_is_owner=True, others_offering=2)

    assert (price.total_minor, price.currency) == (total_minor, currency)


@given(prices)
def test_a_solo_provider_costs_the_plain_price(base_minor: int) -> None:
    price = price_snapshot(Money(base_minor, "EUR"), staff_is_owner=True, others_offering=0)

    assert (price.total_minor, price.owner_premium_minor) == (base_minor, 0)


@given(prices, st.integers(0, 50))
def test_other_staff_cost_the_plain_price(base_minor: int, others_offering: int) -> None:
    price = price_snapshot(Money(base_minor, "EUR"), staff_is_owner=False, others_offering=others_offering)

    assert (price.total_minor, price.owner_premium_minor) == (base_minor, 0)


def test_a_premium_past_the_bound_is_refused() -> None:
    with pytest.raises(AmountTooLarge):
        price_snapshot(Money(AMOUNT_MINOR_MAX, "EUR"), staff_is_owner=True, others_offering=1)
