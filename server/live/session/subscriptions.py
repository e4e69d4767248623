"""Ephemeral topics: who is typing in a conversation, who is online. Never kept, never numbered."""

from protocol.errors import LimitReached
from protocol.topics import Topic


class Subscriptions:
    """The topics that one session hears or has asked for.

    Args:
        topics_max: how many of both.
    """

    __slots__ = ("_confirmed", "_topics_max")

    def __init__(self, topics_max: int) -> None:
        #: topic → whether it was confirmed that it may be heard.
        self._confirmed: dict[Topic, bool] = {}
        self._topics_max = topics_max

    @property
    def heard(self) -> tuple[Topic, ...]:
        """Those that are confirmed."""
        return tuple(topic for topic, confirmed in self._confirmed.items() if confirmed)

    def ask(self, topic: Topic) -> None:
        """Note that the client wants it. Raises: LimitReached."""
        if topic not in self._confirmed and len(self._confirmed) >= self._topics_max:
            raise LimitReached(limit="topics")
        self._confirmed.setdefault(topic, False)

    def confirm(self, topic: Topic) -> bool:
        """It may be heard; answers whether the client still wants it."""
        wanted = topic in self._confirmed
        if wanted:
            self._confirmed[topic] = True
        return wanted

    def drop(self, topic: Topic) -> bool:
        """Forget it; answers whether it was heard."""
        return self._confirmed.pop(topic, False)

    def hears(self, topic: Topic) -> bool:
        """Whether it is confirmed."""
        return self._confirmed.get(topic, False)
