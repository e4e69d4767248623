"""Ephemeral topics: who is typing in a conversation, who is online. Never kept, never numbered."""

from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from protocol.ids import Kind, Ref

#: The types of the ephemeral events that are told on them.
TYPING, ONLINE = "conversation.typing", "user.presence"


class TopicKind(StrEnum):
    """What can be heard besides one's own events."""

    #: Who is typing, per conversation.
    TYPING = "typing"
    #: Whether somebody is online, per user.
    PRESENCE = "presence"


class Topic(NamedTuple):
    """One topic, written ``typing/<conversation id>`` or ``presence/<user id>``."""

    kind: TopicKind
    id: UUID

    @property
    def entity(self) -> Ref:
        """What the topic is about."""
        return Ref(Kind.CONVERSATION if self.kind is TopicKind.TYPING else Kind.USER, self.id)

    def __str__(self) -> str:
        return f"{self.kind.value}/{self.id}"


def parse_topic(text: str) -> Topic | None:
    """Read a topic's name; None if it is none."""
    kind, _, entity_id = text.partition("/")
    try:
        return Topic(TopicKind(kind), UUID(entity_id))
    except ValueError:
        return None
