"""What a late payment needs to know."""

from msgspec import Struct


class LateSlot(Struct, frozen=True, kw_only=True):
    """Whether the time of a booking that has expired is still free. May be stale: reviving claims the slot."""

    free: bool
