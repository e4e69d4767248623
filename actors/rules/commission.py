"""Splitting: what a release leaves to the provider and brings the platform, and equal or weighted parts (SPEC §4)."""

from collections.abc import Sequence
from typing import NamedTuple

from actors.rules.money import basis_points_of

#: 10 % of services, extras and products.
COMMISSION_BP_DEFAULT = 1_000
#: The most parts that one amount is split into.
PARTS_MAX = 1_000


class Split(NamedTuple):
    """An amount in its two parts; they sum to it exactly."""

    provider_minor: int
    commission_minor: int


def split_commission(amount_minor: int, *, exempt_minor: int = 0, rate_bp: int = COMMISSION_BP_DEFAULT) -> Split:
    """Split what is released, the commission rounded half up.

    Args:
        amount_minor: all that is released.
        exempt_minor: the part of it that is tip or delivery fee, which bears no commission.
        rate_bp: the rate in basis points.
    """
    if not 0 <= exempt_minor <= amount_minor:
        raise ValueError("the exempt part is within the amount")
    commission_minor = basis_points_of(amount_minor - exempt_minor, rate_bp)
    return Split(amount_minor - commission_minor, commission_minor)


def largest_remainder(total_minor: int, parts: int | Sequence[int]) -> list[int]:
    """Split an amount into parts that sum to it exactly (instalments, shared refunds; SPEC §4).

    Each part gets its share rounded down; the units left over go, one each, to the largest fractions, the earlier of
    equal ones first.

    Args:
        parts: how many equal parts, or the weight of each, none negative and not all 0.
    """
    if not 0 < (parts if isinstance(parts, int) else len(parts)) <= PARTS_MAX:
        raise ValueError(f"an amount is split into 1 to {PARTS_MAX} parts")
    weights = [1] * parts if isinstance(parts, int) else parts
    whole = sum(weights)
    if total_minor < 0 or min(weights) < 0 or whole == 0:
        raise ValueError("amount and weights are at least 0, and one weight is more")
    shares = [divmod(total_minor * weight, whole) for weight in weights]
    left = total_minor - sum(quotient for quotient, _ in shares)
    favoured = sorted(range(len(shares)), key=lambda index: -shares[index][1])[:left]
    result = [quotient for quotient, _ in shares]
    for index in favoured:
        result[index] += 1
    return result
