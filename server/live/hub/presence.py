"""Who is online. Somebody whose last connection closed stays so for a moment, since most of them come right back."""

from protocol.ids import UserId


class Presence:
    """The people of this node.

    Args:
        grace_s: how long somebody stays online without a connection.
    """

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._connected: dict[UserId, int] = {}
        #: Gone, but not for long enough: when they count as offline, in that order.
        self._leaving: dict[UserId, float] = {}

    def online(self, user_id: UserId) -> bool:
        """Whether somebody counts as online."""
        return user_id in self._connected or user_id in self._leaving

    def joined(self, user_id: UserId) -> bool:
        """Count a connection; answers whether the user has just come online."""
        was_online = self.online(user_id)
        self._leaving.pop(user_id, None)
        self._connected[user_id] = self._connected.get(user_id, 0) + 1
        return not was_online

    def left(self, user_id: UserId, now: float) -> None:
        """Count a connection less."""
        left = self._connected.pop(user_id) - 1
        if left:
            self._connected[user_id] = left
        else:
            self._leaving[user_id] = now + self._grace_s

    def expire(self, now: float) -> list[UserId]:
        """Let those go whose moment is over, and name them."""
        gone = []
        for user_id, at in self._leaving.items():
            if at > now:
                break
            gone.append(user_id)
        for user_id in gone:
            del self._leaving[user_id]
        return gone
