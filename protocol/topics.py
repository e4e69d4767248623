"""Ephemeral topics: who is typing in a conversation, who is online. They are neither stored nor numbered."""

from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from protocol.ids import Kind, Ref

#: The types of ephemeral events.
TYPING, ONLINE = "conversation.typing", "user.presence"


class TopicKind(StrEnum):
    """The kinds of topic."""

    #: Who is typing in a conversation.
    TYPING = "typing"
    #: Whether a user is online.
    PRESENCE = "presence"


class Topic(NamedTuple):
    """One topic, written ``typing/<conversation id>`` or ``presence/<user id>``."""

    kind: TopicKind
    id: UUID

    @property
    def entity(self) -> Ref:
        """The entity of the topic."""
        return Ref(Kind.CONVERSATION if self.kind is TopicKind.TYPING else Kind.USER, self.id)

    def __str__(self) -> str:
        return f"{self.kind.value}/{self.id}"


def parse_topic(text: str) -> Topic | None:
    """Parse a topic's name; returns None if it is invalid."""
    kind, _, entity_id = text.partition("/")
    try:
        return Topic(TopicKind(kind), UUID(entity_id))
    except ValueError:
        return None
