"""The bus: carries events to the nodes that hold their readers' sessions. In one process it is a dictionary.

Another implementation (Redis, Valkey) has one channel a user and sends the rendered body once to each node. The bus may
lose messages and deliver them out of order or twice: the numbers tell, and the log has everything.
"""

from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

from protocol.ids import UserId


class Body(Protocol):
    """What all readers of one event see, rendered when the first one listens."""

    @property
    def json(self) -> bytes: ...


B = TypeVar("B", bound=Body)

#: Gets the number in the user's inbox, and the body.
EventListener = Callable[[int, B], None]
#: Gets the topic's name, whom it is about, and the rendered body.
TopicListener = Callable[[str, UserId, bytes], None]


class Bus(Protocol[B]):
    """Publish and subscribe, by user and by ephemeral topic."""

    def publish(self, user_ids: Iterable[UserId], seqs: Iterable[int], body: B) -> None:
        """Send one event to whoever listens for one of these users."""
        ...

    def subscribe(self, user_id: UserId, listener: EventListener[B]) -> None:
        """Listen for a user's events."""
        ...

    def unsubscribe(self, user_id: UserId, listener: EventListener[B]) -> None:
        """Listen no more."""
        ...

    def signal(self, topic: str, about: UserId, body: bytes) -> None:
        """Send something that is not kept to whoever listens for the topic."""
        ...

    def listen(self, listener: TopicListener) -> None:
        """Listen for all topics."""
        ...


class LocalBus(Generic[B]):
    """The bus of a single process: a call to each listener, in the order that they came."""

    def __init__(self) -> None:
        #: By the user's number, since ids hash and compare in Python.
        self._listeners: dict[int, tuple[EventListener[B], ...]] = {}
        self._topic_listeners: list[TopicListener] = []

    def publish(self, user_ids: Iterable[UserId], seqs: Iterable[int], body: B) -> None:
        """Send one event to whoever listens for one of these users."""
        for user_id, seq in zip(user_ids, seqs, strict=True):
            listeners = self._listeners.get(user_id.int)
            if listeners is not None:
                for listener in listeners:
                    listener(seq, body)

    def subscribe(self, user_id: UserId, listener: EventListener[B]) -> None:
        """Listen for a user's events."""
        self._listeners[user_id.int] = (*self._listeners.get(user_id.int, ()), listener)

    def unsubscribe(self, user_id: UserId, listener: EventListener[B]) -> None:
        """Listen no more."""
        rest = tuple(other for other in self._listeners.get(user_id.int, ()) if other != listener)
        if rest:
            self._listeners[user_id.int] = rest
        else:
            self._listeners.pop(user_id.int, None)

    def signal(self, topic: str, about: UserId, body: bytes) -> None:
        """Send something that is not kept to whoever listens for the topic."""
        for listener in self._topic_listeners:
            listener(topic, about, body)

    def listen(self, listener: TopicListener) -> None:
        """Listen for all topics."""
        self._topic_listeners.append(listener)
