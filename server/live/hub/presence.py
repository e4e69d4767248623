"""Which users are online. A user stays online for a moment after the last connection, since most reconnect at once."""

from protocol.ids import UserId


class Presence:
    """The online users of this node.

    Args:
        grace_s: how long a user stays online without a connection.
    """

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._connected: dict[UserId, int] = {}
        #: Users without a connection who are still online, until when; in that order.
        self._leaving: dict[UserId, float] = {}

    def online(self, user_id: UserId) -> bool:
        """Whether the user is online."""
        return user_id in self._connected or user_id in self._leaving

    def connected(self, user_id: UserId) -> bool:
        """Count a connection; returns whether the user has just come online."""
        was_online = self.online(user_id)
        self._leaving.pop(user_id, None)
        self._connected[user_id] = self._connected.get(user_id, 0) + 1
        return not was_online

    def disconnected(self, user_id: UserId, now: float) -> None:
        """Count a connection less."""
        left = self._connected.pop(user_id) - 1
        if left:
            self._connected[user_id] = left
        else:
            self._leaving[user_id] = now + self._grace_s

    def expire(self, now: float) -> list[UserId]:
        """Remove the users whose time is over, and return them: they have gone offline."""
        gone = []
        for user_id, at in self._leaving.items():
            if at > now:
                break
            gone.append(user_id)
        for user_id in gone:
            del self._leaving[user_id]
        return gone
