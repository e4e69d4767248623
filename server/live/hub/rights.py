"""Which topics somebody may hear: the typing of their own threads, the presence of those they deal with."""

from collections.abc import Collection

from protocol.ids import Kind, Ref, UserId
from protocol.roles import Principal
from protocol.topics import Topic, TopicKind
from storage.database import Pool
from storage.rights import may_meet, may_see


async def may_hear(pool: Pool, principal: Principal, topics: Collection[Topic]) -> set[Topic]:
    """Of these topics, give those that the principal may hear now."""
    threads = [Ref(Kind.CONVERSATION, topic.id) for topic in topics if topic.kind is TopicKind.TYPING]
    people = [UserId(topic.id) for topic in topics if topic.kind is TopicKind.PRESENCE]
    allowed: set[Topic] = set()
    if threads:
        seen = await may_see(pool, principal.user_id, threads)
        allowed.update(Topic(TopicKind.TYPING, ref.id) for ref in seen)
    if people:
        met = await may_meet(pool, principal.user_id, people)
        allowed.update(Topic(TopicKind.PRESENCE, user_id) for user_id in met)
    return allowed
