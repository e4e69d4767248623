"""The bus: carries events to the nodes that hold their readers' sessions. In one process it is a dictionary.

Another implementation (Redis, Valkey) has one channel for each user and sends the rendered body once to each node. The
bus may lose messages, and deliver them twice or out of order: sessions detect gaps by ``seq`` and read the log.
"""

from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

from protocol.ids import UserId


class Body(Protocol):
    """One event as all its readers see it, rendered for the first reader."""

    @property
    def json(self) -> bytes: ...


B = TypeVar("B", bound=Body)

#: Called with the ``seq`` in the user's inbox, and the body.
EventListener = Callable[[int, B], None]
#: Called with the topic's name, the user that the signal is about, and the rendered body.
TopicListener = Callable[[str, UserId, bytes], None]


class Bus(Protocol[B]):
    """Publish and subscribe, by user and by ephemeral topic."""

    def publish(self, user_ids: Iterable[UserId], seqs: Iterable[int], body: B) -> None:
        """Send one event to the listeners of these users."""
        ...

    def subscribe(self, user_id: UserId, listener: EventListener[B]) -> None:
        """Add a listener for a user's events."""
        ...

    def unsubscribe(self, user_id: UserId, listener: EventListener[B]) -> None:
        """Remove a listener."""
        ...

    def signal(self, topic: str, about: UserId, body: bytes) -> None:
        """Send an ephemeral event to the listeners of topics."""
        ...

    def listen(self, listener: TopicListener) -> None:
        """Add a listener for all topics."""
        ...


class LocalBus(Generic[B]):
    """The bus of a single process: calls each listener, in the order in which they were added."""

    def __init__(self) -> None:
        #: By the user id as an int, which hashes in C.
        self._listeners: dict[int, tuple[EventListener[B], ...]] = {}
        self._topic_listeners: list[TopicListener] = []

    def publish(self, user_ids: Iterable[UserId], seqs: Iterable[int], body: B) -> None:
        """Send one event to the listeners of these users."""
        for user_id, seq in zip(user_ids, seqs, strict=True):
            listeners = self._listeners.get(user_id.int)
            if listeners is not None:
                for listener in listeners:
                    listener(seq, body)

    def subscribe(self, user_id: UserId, listener: EventListener[B]) -> None:
        """Add a listener for a user's events."""
        self._listeners[user_id.int] = (*self._listeners.get(user_id.int, ()), listener)

    def unsubscribe(self, user_id: UserId, listener: EventListener[B]) -> None:
        """Remove a listener."""
        rest = tuple(other for other in self._listeners.get(user_id.int, ()) if other != listener)
        if rest:
            self._listeners[user_id.int] = rest
        else:
            self._listeners.pop(user_id.int, None)

    def signal(self, topic: str, about: UserId, body: bytes) -> None:
        """Send an ephemeral event to the listeners of topics."""
        for listener in self._topic_listeners:
            listener(topic, about, body)

    def listen(self, listener: TopicListener) -> None:
        """Add a listener for all topics."""
        self._topic_listeners.append(listener)
