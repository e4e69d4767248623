"""Rounding of prices, fees and shares to whole minor units; all of them use these functions."""

#: Basis points of the whole amount.
BASIS_POINTS = 10_000


def half_up(amount_minor: int, numerator: int, denominator: int) -> int:
    """Take ``numerator / denominator`` of an amount in minor units, half a unit going up (rule M-1).

    Raises: ValueError, for a negative amount or factor, which is a bug of the caller.
    """
    if amount_minor < 0 or numerator < 0 or denominator <= 0:
        raise ValueError("half_up takes an amount and a factor of at least 0")
    return (2 * amount_minor * numerator + denominator) // (2 * denominator)


def basis_points_of(amount_minor: int, rate_bp: int) -> int:
    """Take a rate in basis points (1000 = 10 %) of an amount, half up; never more than the amount itself."""
    if not 0 <= rate_bp <= BASIS_POINTS:
        raise ValueError(f"a rate is between 0 and {BASIS_POINTS} basis points")
    return half_up(amount_minor, rate_bp, BASIS_POINTS)
