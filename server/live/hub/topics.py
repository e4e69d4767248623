"""Ephemeral topics: who is typing in a conversation, who is online. Neither stored nor numbered."""

from collections import defaultdict
from collections.abc import Callable, Collection
from datetime import UTC, datetime

from protocol.frames import SignalState
from protocol.ids import Kind, Ref, UserId
from protocol.roles import Principal
from protocol.topics import ONLINE, TYPING, Topic, TopicKind
from server.live.connection.connection import Connection
from server.live.hub.presence import Presence
from server.live.hub.rendering import EventBody, render_ephemeral
from storage.bus import Bus
from storage.database import Pool
from storage.rights import may_see, may_see_presence


class Topics:
    """The subscriptions of this node's connections.

    Args:
        bus: takes signals to the subscribers on every node.
        wall: seconds since 1970.
    """

    def __init__(self, pool: Pool, bus: Bus[EventBody], presence_grace_s: float, wall: Callable[[], float]) -> None:
        self._pool = pool
        self._bus = bus
        self._wall = wall
        self._presence = Presence(presence_grace_s)
        self._subscribers: defaultdict[str, set[Connection]] = defaultdict(set)

    def start(self) -> None:
        """Receive signals from the bus."""
        self._bus.listen(self._deliver)

    async def allowed(self, principal: Principal, topics: Collection[Topic]) -> set[Topic]:
        """The topics of these that the principal may subscribe to now."""
        return await allowed_topics(self._pool, principal, topics)

    def subscribe(self, connection: Connection, topic: Topic) -> None:
        """Send a topic's signals to this connection, a user's present state first."""
        self._subscribers[str(topic)].add(connection)
        if connection.topics is None:
            connection.topics = set()
        connection.topics.add(topic)
        if topic.kind is TopicKind.PRESENCE:
            body = connection.codec.body(self._presence_body(topic))
            connection.send_ephemeral((str(topic), UserId(topic.id)), connection.codec.event(None, body))

    def unsubscribe(self, connection: Connection, topic: Topic) -> None:
        """Stop sending a topic's signals to this connection."""
        if connection.topics:
            connection.topics.discard(topic)
        subscribers = self._subscribers.get(str(topic))
        if subscribers is not None:
            subscribers.discard(connection)
            if not subscribers:
                del self._subscribers[str(topic)]

    def unsubscribe_all(self, connection: Connection) -> None:
        """End all subscriptions of a connection."""
        for topic in tuple(connection.topics or ()):
            self.unsubscribe(connection, topic)

    def signal(self, topic: Topic, user_id: UserId, state: SignalState) -> None:
        """Send a user's signal to the other subscribers of a topic."""
        data = {"user_id": user_id, "state": state}
        self._bus.signal(str(topic), user_id, render_ephemeral(TYPING, topic.entity, self._now(), data))

    def user_connected(self, user_id: UserId) -> None:
        """A user has one connection more."""
        if self._presence.connected(user_id):
            self._signal_presence(user_id)

    def user_disconnected(self, user_id: UserId, now: float) -> None:
        """A user has one connection less."""
        self._presence.disconnected(user_id, now)

    def expire_presence(self, now: float) -> None:
        """Send the presence of the users who have gone offline."""
        for user_id in self._presence.expire(now):
            self._signal_presence(user_id)

    def _signal_presence(self, user_id: UserId) -> None:
        topic = Topic(TopicKind.PRESENCE, user_id)
        self._bus.signal(str(topic), user_id, self._presence_body(topic))

    def _presence_body(self, topic: Topic) -> bytes:
        data = {"online": self._presence.online(UserId(topic.id))}
        return render_ephemeral(ONLINE, topic.entity, self._now(), data)

    def _deliver(self, topic: str, about: UserId, body: bytes) -> None:
        """Send a signal to the subscribers of this node, except the user whom it is about."""
        key, codec, frame = (topic, about), None, b""
        for connection in self._subscribers.get(topic, ()):
            principal = connection.session.principal
            if principal is not None and principal.user_id != about:
                if connection.codec is not codec:
                    codec = connection.codec
                    frame = codec.event(None, codec.body(body))
                connection.send_ephemeral(key, frame)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._wall(), UTC)


async def allowed_topics(pool: Pool, principal: Principal, topics: Collection[Topic]) -> set[Topic]:
    """The topics of these that the principal may subscribe to now.

    Those are the typing in their conversations, and the presence of users who share a conversation or a business.
    """
    conversations = [Ref(Kind.CONVERSATION, topic.id) for topic in topics if topic.kind is TopicKind.TYPING]
    user_ids = [UserId(topic.id) for topic in topics if topic.kind is TopicKind.PRESENCE]
    allowed: set[Topic] = set()
    if conversations:
        visible = await may_see(pool, principal.user_id, conversations)
        allowed.update(Topic(TopicKind.TYPING, ref.id) for ref in visible)
    if user_ids:
        known = await may_see_presence(pool, principal.user_id, user_ids)
        allowed.update(Topic(TopicKind.PRESENCE, user_id) for user_id in known)
    return allowed
