"""What is split stays whole: commission and what is left of it sum to the amount exactly (rules M-1, M-6)."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.rules.commission import Split, split_commission
from actors.rules.money import BASIS_POINTS
from protocol.money import AMOUNT_MINOR_MAX

amounts = st.integers(0, AMOUNT_MINOR_MAX)


class TestCommission:
    @given(amounts, st.integers(0, BASIS_POINTS))
    def test_both_parts_sum_to_the_amount_and_neither_is_negative(self, amount_minor: int, rate_bp: int) -> None:
        split = split_commission(amount_minor, rate_bp=rate_bp)

        assert split.provider_minor + split.commission_minor == amount_minor
        assert min(split) >= 0

    @given(amounts)
    def test_the_default_is_ten_per_cent_half_up(self, amount_minor: int) -> None:
        expected = (amount_minor / Decimal(10)).quantize(Decimal(1), ROUND_HALF_UP)

        assert split_commission(amount_minor).commission_minor == expected

    @pytest.mark.parametrize(
        ("amount_minor", "split"),
        [(10_000, (9_000, 1_000)), (5, (4, 1)), (4, (4, 0)), (15, (13, 2)), (1_234, (1_111, 123)), (0, (0, 0))],
    )
    def test_half_a_unit_goes_to_the_platform(self, amount_minor: int, split: tuple[int, int]) -> None:
        assert split_commission(amount_minor) == Split(*split)
