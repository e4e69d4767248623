"""Facts that decisions about notices are made on, loaded before the turn."""

from msgspec import Struct

from protocol.ids import UserId


class KnownUsers(Struct, frozen=True):
    """Those of the users asked for that there are. May be stale: nobody is told who is no more."""

    user_ids: frozenset[UserId]
