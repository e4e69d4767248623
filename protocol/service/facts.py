"""Facts that decisions about services are made on, loaded before the turn."""

from msgspec import Struct

from protocol.ids import UserId
from protocol.service.rows import ServiceRow


class ServiceRecord(Struct, frozen=True, kw_only=True):
    """Facts: the service's own row and who does it. The business's version check keeps them from going stale."""

    row: ServiceRow | None
    staff_ids: tuple[UserId, ...]
