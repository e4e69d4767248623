"""Commission: the split of a released amount between provider and platform (rule M-6)."""

from typing import NamedTuple

from actors.rules.money import basis_points_of

#: 10 % of services, extras and products.
COMMISSION_BP_DEFAULT = 1_000


class Split(NamedTuple):
    """An amount in its two parts; they sum to it exactly."""

    provider_minor: int
    commission_minor: int


def split_commission(amount_minor: int, *, rate_bp: int = COMMISSION_BP_DEFAULT) -> Split:
    """Split a released amount; the commission is rounded half up.

    Args:
        rate_bp: the rate in basis points.
    """
    commission_minor = basis_points_of(amount_minor, rate_bp)
    return Split(amount_minor - commission_minor, commission_minor)
