"""Members of enums as SQL constants, so that partial indexes apply."""

from collections.abc import Iterable
from enum import StrEnum


def constants(members: Iterable[StrEnum]) -> str:
    """The list for ``IN (…)``, in the order of the alphabet."""
    return ", ".join(f"'{value}'" for value in sorted(member.value for member in members))
