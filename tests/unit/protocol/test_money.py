"""Amounts keep their currency, their digits and their bounds; the wire's number says exactly what is meant."""

import json
import math
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.rules.money import BASIS_POINTS, basis_points_of, half_up
from protocol.money import (
    AMOUNT_MINOR_MAX,
    MINOR_DIGITS,
    AmountMalformed,
    AmountNotFinite,
    AmountTooLarge,
    AmountTooPrecise,
    CurrencyMismatch,
    Money,
    MoneyError,
    UnknownCurrency,
    from_major,
    major_number,
    to_major,
)

amounts = st.integers(-AMOUNT_MINOR_MAX, AMOUNT_MINOR_MAX)
currencies = st.sampled_from(sorted(MINOR_DIGITS))
HALF_MAX = AMOUNT_MINOR_MAX // 2
small = st.integers(-HALF_MAX, HALF_MAX)


class TestCurrencies:
    @pytest.mark.parametrize(
        ("code", "digits"),
        [("EUR", 2), ("USD", 2), ("JPY", 0), ("KRW", 0), ("CLP", 0), ("ISK", 0), ("KWD", 3), ("BHD", 3), ("TND", 3)],
    )
    def test_each_currency_has_its_iso_4217_digits(self, code: str, digits: int) -> None:
        assert MINOR_DIGITS[code] == digits

    @pytest.mark.parametrize("code", ["eur", "EU", "EURO", "XXX", "XAU", "ZZZ", "", "EUR\n", "€"])
    def test_an_unknown_currency_is_refused(self, code: str) -> None:
        with pytest.raises(UnknownCurrency):
            Money(1, code)

    @pytest.mark.parametrize("body", [b'{"amount_minor":1,"currency":"eur"}', b'{"amount_minor":1,"currency":"ZZZ"}'])
    def test_decoding_refuses_an_unknown_currency_as_invalid_input(self, body: bytes) -> None:
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(body, type=Money)


class TestSums:
    @given(small, small, currencies)
    def test_adding_and_taking_away_again_changes_nothing(self, first: int, second: int, currency: str) -> None:
        a, b = Money(first, currency), Money(second, currency)

        assert a + b == Money(first + second, currency)
        assert (a + b) - b == a
        assert a + -a == Money(0, currency)

    @given(amounts, amounts, currencies)
    def test_amounts_of_one_currency_are_ordered_as_their_numbers(self, first: int, second: int, currency: str) -> None:
        a, b = Money(first, currency), Money(second, currency)

        assert (a < b, a <= b, a > b, a >= b) == (first < second, first <= second, first > second, first >= second)

    @pytest.mark.parametrize("operation", ["__add__", "__sub__", "__lt__", "__le__", "__gt__", "__ge__"])
    def test_currencies_never_mix(self, operation: str) -> None:
        with pytest.raises(CurrencyMismatch):
            getattr(Money(1, "EUR"), operation)(Money(1, "USD"))

    def test_nothing_in_one_currency_is_not_nothing_in_another(self) -> None:
        assert Money(0, "EUR") != Money(0, "USD")

    def test_a_sum_past_the_bound_is_refused(self) -> None:
        with pytest.raises(AmountTooLarge):
            Money(AMOUNT_MINOR_MAX, "EUR") + Money(1, "EUR")


class TestReadingMajorUnits:
    @pytest.mark.parametrize(
        ("value", "currency", "amount_minor"),
        [
            (12.5, "EUR", 1250),
            (0.29, "EUR", 29),
            (1.1, "EUR", 110),
            (4.35, "EUR", 435),
            (-12.34, "EUR", -1234),
            ("12.50", "EUR", 1250),
            ("12.500", "EUR", 1250),
            ("007", "EUR", 700),
            (Decimal("19.99"), "EUR", 1999),
            (Decimal("1.2E+3"), "EUR", 120_000),
            (1200, "JPY", 1200),
            (1200.0, "JPY", 1200),
            ("0.105", "KWD", 105),
            (0.105, "KWD", 105),
            (-0.0, "EUR", 0),
            (Decimal("0E+999999"), "EUR", 0),
            (9_999_999_999_999.99, "EUR", AMOUNT_MINOR_MAX),
        ],
    )
    def test_an_amount_is_read_to_the_minor_unit(
        self, value: Decimal | float | str, currency: str, amount_minor: int
    ) -> None:
        assert from_major(value, currency) == Money(amount_minor, currency)

    @pytest.mark.parametrize(
        ("value", "currency"),
        [
            (12.345, "EUR"),
            (0.1 + 0.2, "EUR"),
            ("0.001", "USD"),
            (0.5, "JPY"),
            ("0.1055", "KWD"),
            (1e-9, "EUR"),
            (Decimal("1E-999999999"), "EUR"),
            (Decimal("1." + "0" * 60 + "1"), "EUR"),
        ],
    )
    def test_more_digits_than_the_currency_has_are_refused(self, value: Decimal | float | str, currency: str) -> None:
        with pytest.raises(AmountTooPrecise):
            from_major(value, currency)

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, Decimal("NaN"), Decimal("sNaN"), Decimal("-Inf")])
    def test_what_is_not_finite_is_refused(self, value: Decimal | float) -> None:
        with pytest.raises(AmountNotFinite):
            from_major(value, "EUR")

    @pytest.mark.parametrize(
        "value",
        [
            10_000_000_000_000,
            pytest.param(10**5000, id="10**5000"),
            pytest.param(-(10**5000), id="-10**5000"),
            1e300,
            "99999999999999999999",
            Decimal("1E+999999999"),
            Decimal("-1E+999999999"),
            pytest.param(Decimal("9" * 10_000), id="10000 nines"),
        ],
    )
    def test_huge_numbers_are_refused(self, value: Decimal | float | str) -> None:
        with pytest.raises(AmountTooLarge):
            from_major(value, "EUR")

    @pytest.mark.parametrize(
        "value",
        [
            "",
            " 1",
            "1 ",
            "1_000",
            "1,5",
            "1e3",
            "+1",
            ".5",
            "1.",
            "NaN",
            "Infinity",
            "0x10",
            "١٢",
            "1\n",
            "1" * 41,
            True,
        ],
    )
    def test_what_is_not_a_plain_decimal_is_refused(self, value: str) -> None:
        with pytest.raises(AmountMalformed):
            from_major(value, "EUR")

    def test_an_unknown_currency_is_refused(self) -> None:
        with pytest.raises(UnknownCurrency):
            from_major(1, "ZZZ")

    def test_every_refusal_is_a_value_error_with_a_code_of_its_own(self) -> None:
        def tree(cls: type[MoneyError]) -> list[type[MoneyError]]:
            return [cls, *(leaf for sub in cls.__subclasses__() for leaf in tree(sub))]

        codes = [cls.code for cls in tree(MoneyError)]

        assert issubclass(MoneyError, ValueError)
        assert len(codes) == len(set(codes)) == 8


class TestSayingMajorUnits:
    @given(amounts, currencies)
    def test_major_units_and_back_is_the_same_amount(self, amount_minor: int, currency: str) -> None:
        money = Money(amount_minor, currency)

        assert from_major(to_major(money), currency) == money
        assert from_major(str(abs(to_major(money))), currency).amount_minor == abs(amount_minor)

    @given(amounts, currencies)
    def test_the_wire_number_prints_the_exact_decimal(self, amount_minor: int, currency: str) -> None:
        wire = msgspec.json.encode(major_number(amount_minor, currency))

        assert json.loads(wire, parse_float=Decimal, parse_int=Decimal) == to_major(Money(amount_minor, currency))
        assert b"e" not in wire.lower()

    @given(amounts, currencies)
    def test_the_wire_number_survives_a_reader_with_floats(self, amount_minor: int, currency: str) -> None:
        for codec in (msgspec.json, msgspec.msgpack):
            read = codec.decode(codec.encode(major_number(amount_minor, currency)))

            assert from_major(read, currency) == Money(amount_minor, currency)

    @pytest.mark.parametrize(
        ("amount_minor", "currency", "wire"),
        [
            (1250, "EUR", b"12.5"),
            (120_000, "EUR", b"1200"),
            (1, "EUR", b"0.01"),
            (-1, "EUR", b"-0.01"),
            (-1250, "EUR", b"-12.5"),
            (0, "EUR", b"0"),
            (1200, "JPY", b"1200"),
            (105, "KWD", b"0.105"),
            (1, "KWD", b"0.001"),
            (AMOUNT_MINOR_MAX, "EUR", b"9999999999999.99"),
        ],
    )
    def test_the_wire_number_is_as_short_as_people_write_it(
        self, amount_minor: int, currency: str, wire: bytes
    ) -> None:
        assert msgspec.json.encode(major_number(amount_minor, currency)) == wire

    @pytest.mark.parametrize(
        ("money", "text"), [(Money(1250, "EUR"), "12.50"), (Money(1200, "JPY"), "1200"), (Money(105, "KWD"), "0.105")]
    )
    def test_the_decimal_has_the_digits_of_its_currency(self, money: Money, text: str) -> None:
        assert str(to_major(money)) == text

    def test_an_amount_past_the_bound_has_no_wire_number(self) -> None:
        with pytest.raises(AmountTooLarge):
            major_number(AMOUNT_MINOR_MAX + 1, "EUR")


class TestRounding:
    @given(st.integers(0, AMOUNT_MINOR_MAX), st.integers(0, 100_000), st.integers(1, 100_000))
    def test_half_up_is_the_nearest_whole_and_the_upper_of_two(
        self, amount_minor: int, numerator: int, denominator: int
    ) -> None:
        rounded = half_up(amount_minor, numerator, denominator)

        distance = 2 * (rounded * denominator - amount_minor * numerator)
        assert -denominator < distance <= denominator

    @pytest.mark.parametrize(("amount_minor", "rounded"), [(1, 1), (3, 2), (4, 2), (5, 3), (0, 0)])
    def test_half_a_unit_goes_up(self, amount_minor: int, rounded: int) -> None:
        assert half_up(amount_minor, 1, 2) == rounded

    @given(st.integers(0, AMOUNT_MINOR_MAX), st.integers(0, BASIS_POINTS))
    def test_a_rate_never_takes_more_than_there_is(self, amount_minor: int, rate_bp: int) -> None:
        assert 0 <= basis_points_of(amount_minor, rate_bp) <= amount_minor

    @pytest.mark.parametrize(("amount_minor", "rate_bp"), [(-1, 10), (1, -1), (1, BASIS_POINTS + 1)])
    def test_negative_amounts_and_rates_out_of_range_are_refused(self, amount_minor: int, rate_bp: int) -> None:
        with pytest.raises(ValueError, match="0"):
            basis_points_of(amount_minor, rate_bp)
