"""Money: integer minor units and an ISO 4217 code inside, a decimal number of major units on the wire (rule W-3).

MoneyError (ValueError)
├── UnknownCurrency     not a known currency of payment
├── CurrencyMismatch    two currencies in one sum or comparison
└── AmountInvalid
    ├── AmountMalformed    not a plain decimal number
    ├── AmountNotFinite    NaN or an infinity
    ├── AmountTooPrecise   more digits than the currency has
    └── AmountTooLarge     above ``AMOUNT_MINOR_MAX``
"""

import math
import re
from decimal import Decimal
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

#: The largest absolute amount: fifteen digits, which a float64 in JSON represents exactly.
AMOUNT_MINOR_MAX = 999_999_999_999_999
#: The longest decimal text that is parsed.
AMOUNT_TEXT_MAX = 40

#: An ISO 4217 code in capitals. The pattern is for the wire; ``check_currency`` checks the code itself.
Currency = Annotated[
    str, Meta(pattern=r"^[A-Z]{3}$(?!\n)", max_length=3, description="ISO 4217 code", examples=["EUR"])
]

_DIGITS_0 = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_DIGITS_3 = "BHD IQD JOD KWD LYD OMR TND"
_DIGITS_2 = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP
    CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS
    KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD
    PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP
    TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG
"""

#: Currency → digits after the decimal point. ISO 4217 without metals, funds and units of account.
MINOR_DIGITS: dict[str, int] = {
    code: digits for digits, codes in ((0, _DIGITS_0), (2, _DIGITS_2), (3, _DIGITS_3)) for code in codes.split()
}

#: Currency → minor units in one major unit.
_UNIT_MINOR: dict[str, int] = {code: 10**digits for code, digits in MINOR_DIGITS.items()}
_PLAIN_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)


class MoneyError(ValueError):
    """An invalid amount or currency. ``code`` says why."""

    code: ClassVar[str] = "money_error"


class UnknownCurrency(MoneyError):
    """The code is not a known currency of payment."""

    code = "unknown_currency"


class CurrencyMismatch(MoneyError):
    """Two currencies in one sum or comparison (rule M-1)."""

    code = "currency_mismatch"


class AmountInvalid(MoneyError):
    """The number is not a valid amount of that currency."""

    code = "amount_invalid"


class AmountMalformed(AmountInvalid):
    """The text is not a plain decimal number."""

    code = "amount_malformed"


class AmountNotFinite(AmountInvalid):
    """NaN or an infinity."""

    code = "amount_not_finite"


class AmountTooPrecise(AmountInvalid):
    """More digits after the point than the currency has."""

    code = "amount_too_precise"


class AmountTooLarge(AmountInvalid):
    """The absolute amount is above ``AMOUNT_MINOR_MAX``."""

    code = "amount_too_large"


class Money(Struct, frozen=True):
    """An amount in one currency. Sums and comparisons across currencies raise CurrencyMismatch."""

    amount_minor: int
    currency: Currency

    def __post_init__(self) -> None:
        check_currency(self.currency)
        check_amount_minor(self.amount_minor)

    def __add__(self, other: "Money") -> "Money":
        return Money(self.amount_minor + self._same(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.amount_minor - self._same(other), self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.amount_minor, self.currency)

    def __lt__(self, other: "Money") -> bool:
        return self.amount_minor < self._same(other)

    def __le__(self, other: "Money") -> bool:
        return self.amount_minor <= self._same(other)

    def __gt__(self, other: "Money") -> bool:
        return self.amount_minor > self._same(other)

    def __ge__(self, other: "Money") -> bool:
        return self.amount_minor >= self._same(other)

    def _same(self, other: "Money") -> int:
        if self.currency != other.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} do not mix")
        return other.amount_minor


class PriceSnapshot(Struct, frozen=True, kw_only=True):
    """The price of a service as agreed at booking time; later changes of the service do not change it (rule B-9)."""

    #: The service's own price.
    base_minor: int
    #: The surcharge if the owner does the job in person; 0 otherwise.
    owner_premium_minor: int = 0
    currency: Currency

    @property
    def total_minor(self) -> int:
        return self.base_minor + self.owner_premium_minor


def check_currency(code: str) -> str:
    """Return the code if it is a known currency. Raises: UnknownCurrency."""
    if code not in MINOR_DIGITS:
        raise UnknownCurrency(f"{code!r:.20} is not a known ISO 4217 currency")
    return code


def check_amount_minor(amount_minor: int) -> int:
    """Return the amount if it is within bounds. Raises: AmountTooLarge."""
    if not -AMOUNT_MINOR_MAX <= amount_minor <= AMOUNT_MINOR_MAX:
        raise AmountTooLarge("the amount is larger than any that is handled")
    return amount_minor


def to_major(money: Money) -> Decimal:
    """Return the amount in major units, with exactly the currency's digits: 12.50 EUR, 1200 JPY, 0.105 KWD."""
    return Decimal(money.amount_minor).scaleb(-MINOR_DIGITS[money.currency])


def from_major(value: Decimal | int | float | str, currency: str) -> Money:
    """Parse an amount in major units; trailing zeros are ignored.

    A float means the shortest decimal that it prints as, which is what its sender wrote.

    Raises: UnknownCurrency, AmountMalformed, AmountNotFinite, AmountTooPrecise, AmountTooLarge.
    """
    digits = MINOR_DIGITS[check_currency(currency)]
    sign, figures, exponent = _decimal(value).as_tuple()
    if not isinstance(exponent, int):
        raise AmountNotFinite("the amount is not a finite number")
    if not any(figures):
        return Money(0, currency)
    if len(figures) + exponent > len(str(AMOUNT_MINOR_MAX)):
        raise AmountTooLarge("the amount is larger than any that is handled")
    if len(figures) > AMOUNT_TEXT_MAX or exponent < -AMOUNT_TEXT_MAX:
        raise AmountTooPrecise(f"{currency} has {digits} digits after the point")
    amount_minor = _shifted(int("".join(map(str, figures))), exponent + digits)
    if amount_minor is None:
        raise AmountTooPrecise(f"{currency} has {digits} digits after the point")
    return Money(-amount_minor if sign else amount_minor, currency)


def major_number(amount_minor: int, currency: str) -> int | float:
    """Return the amount as the JSON number for the wire; it prints exactly: 12.5, 1200, 0.105.

    Raises: UnknownCurrency, AmountTooLarge.
    """
    unit = _UNIT_MINOR[check_currency(currency)]
    whole, rest = divmod(check_amount_minor(amount_minor), unit)
    return amount_minor / unit if rest else whole


def _decimal(value: Decimal | int | float | str) -> Decimal:
    if isinstance(value, bool):
        raise AmountMalformed("a truth value is not an amount")
    if isinstance(value, int):
        # Converting a number with millions of digits takes seconds.
        return Decimal(check_amount_minor(value))
    if isinstance(value, float):
        if not math.isfinite(value):
            raise AmountNotFinite("the amount is not a finite number")
        return Decimal(repr(value))
    if isinstance(value, str):
        if len(value) > AMOUNT_TEXT_MAX or not _PLAIN_DECIMAL.fullmatch(value):
            raise AmountMalformed("the amount is not a plain decimal number")
        return Decimal(value)
    return value


def _shifted(number: int, places: int) -> int | None:
    """Multiply by a power of ten; None if that leaves a fraction."""
    if places >= 0:
        return int(number * 10**places)
    quotient, rest = divmod(number, 10**-places)
    return None if rest else quotient
