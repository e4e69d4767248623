"""Facts of decisions about services."""

from msgspec import Struct

from protocol.ids import UserId
from protocol.service.rows import ServiceRow


class ServiceRecord(Struct, frozen=True, kw_only=True):
    """Facts: a service's row and its staff. The business's version check keeps them from going stale."""

    row: ServiceRow | None
    staff_ids: tuple[UserId, ...]
