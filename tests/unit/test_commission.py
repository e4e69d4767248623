"""What is split stays whole: commission and instalments sum to the amount exactly (SPEC §4)."""

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.rules.commission import PARTS_MAX, Split, largest_remainder, split_commission
from actors.rules.money import BASIS_POINTS
from protocol.money import AMOUNT_MINOR_MAX

amounts = st.integers(0, AMOUNT_MINOR_MAX)
weights = st.lists(st.integers(0, 10_000), min_size=1, max_size=20).filter(any)


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

    def test_tips_and_delivery_bear_no_commission(self) -> None:
        assert split_commission(12_500, exempt_minor=2_500) == Split(11_500, 1_000)
        assert split_commission(2_500, exempt_minor=2_500) == Split(2_500, 0)

    @pytest.mark.parametrize(("amount_minor", "exempt_minor"), [(100, 101), (100, -1), (-1, 0)])
    def test_an_exempt_part_outside_the_amount_is_refused(self, amount_minor: int, exempt_minor: int) -> None:
        with pytest.raises(ValueError, match="exempt"):
            split_commission(amount_minor, exempt_minor=exempt_minor)


class TestLargestRemainder:
    @given(amounts, st.integers(1, 60))
    def test_equal_parts_sum_exactly_differ_by_one_unit_and_begin_with_the_larger(self, total: int, n: int) -> None:
        parts = largest_remainder(total, n)

        assert (len(parts), sum(parts)) == (n, total)
        assert max(parts) - min(parts) <= 1
        assert parts == sorted(parts, reverse=True)

    @given(amounts, weights)
    def test_weighted_parts_sum_exactly_and_are_within_a_unit_of_their_share(
        self, total: int, weights: list[int]
    ) -> None:
        parts = largest_remainder(total, weights)

        assert sum(parts) == total
        for part, weight in zip(parts, weights, strict=True):
            assert abs(part - Fraction(total * weight, sum(weights))) < 1

    @given(amounts, weights)
    def test_who_is_rounded_up_had_no_smaller_fraction_than_who_is_rounded_down(
        self, total: int, weights: list[int]
    ) -> None:
        parts = largest_remainder(total, weights)

        shares = [Fraction(total * weight, sum(weights)) for weight in weights]
        raised = [share % 1 for part, share in zip(parts, shares, strict=True) if part > share]
        lowered = [share % 1 for part, share in zip(parts, shares, strict=True) if part < share]
        assert not raised or not lowered or min(raised) >= max(lowered)

    @pytest.mark.parametrize(
        ("total", "split", "parts"),
        [
            (10_000, 3, [3_334, 3_333, 3_333]),
            (5, 7, [1, 1, 1, 1, 1, 0, 0]),
            (0, 4, [0, 0, 0, 0]),
            (100, [1, 1, 1], [34, 33, 33]),
            (100, [0, 1, 2], [0, 33, 67]),
            (1, [0, 1], [0, 1]),
        ],
    )
    def test_the_units_left_over_go_to_the_largest_fractions(
        self, total: int, split: int | list[int], parts: list[int]
    ) -> None:
        assert largest_remainder(total, split) == parts

    @pytest.mark.parametrize(
        ("total", "split"),
        [(-1, 2), (1, 0), (1, -1), (1, PARTS_MAX + 1), (1, 10**12), (1, []), (1, [0, 0]), (1, [2, -1])],
    )
    def test_impossible_splits_are_refused(self, total: int, split: int | list[int]) -> None:
        with pytest.raises(ValueError, match=r"parts|weights"):
            largest_remainder(total, split)
