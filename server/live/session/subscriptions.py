"""A session's subscriptions to ephemeral topics (typing, presence), which are neither stored nor numbered."""

from protocol.errors import LimitReached
from protocol.topics import Topic


class Subscriptions:
    """The topics that a client has subscribed to.

    Args:
        topics_max: the most of them, those that are still being checked included.
    """

    __slots__ = ("_allowed", "_topics_max")

    def __init__(self, topics_max: int) -> None:
        #: topic → whether its check has succeeded.
        self._allowed: dict[Topic, bool] = {}
        self._topics_max = topics_max

    @property
    def active(self) -> tuple[Topic, ...]:
        """The topics whose check has succeeded."""
        return tuple(topic for topic, allowed in self._allowed.items() if allowed)

    def request(self, topic: Topic) -> None:
        """Add a topic that is to be checked. Raises: LimitReached."""
        if topic not in self._allowed and len(self._allowed) >= self._topics_max:
            raise LimitReached(limit="topics")
        self._allowed.setdefault(topic, False)

    def activate(self, topic: Topic) -> bool:
        """The check has succeeded; returns False if the client has unsubscribed meanwhile."""
        requested = topic in self._allowed
        if requested:
            self._allowed[topic] = True
        return requested

    def remove(self, topic: Topic) -> bool:
        """Remove a topic; returns whether it was active."""
        return self._allowed.pop(topic, False)

    def is_active(self, topic: Topic) -> bool:
        """Whether the check of this topic has succeeded."""
        return self._allowed.get(topic, False)
