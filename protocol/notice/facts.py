"""Facts for decisions about notices, loaded before the turn."""

from msgspec import Struct

from protocol.ids import UserId


class KnownUsers(Struct, frozen=True):
    """The users asked for that exist. May be stale: an erased user receives nothing."""

    user_ids: frozenset[UserId]
