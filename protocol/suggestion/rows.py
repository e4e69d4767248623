"""Read rows of suggested replies, written in the commit of their decision."""

from typing import ClassVar

from protocol.events import Row
from protocol.ids import ConversationId, MessageId, SuggestionId, UserId


class SuggestionUseRow(Row, frozen=True, kw_only=True):
    """A message that was made from a suggestion; deleted once it is counted."""

    table: ClassVar[str] = "suggestion_uses"
    key: ClassVar[tuple[str, ...]] = ("message_id",)

    message_id: MessageId
    conversation_id: ConversationId
    user_id: UserId
    suggestion_id: SuggestionId
    reply_index: int
    #: A digest of the sent text, to compare it with the suggested one.
    digest: int
