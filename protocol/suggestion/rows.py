"""Read rows of suggested replies, written in the commit of the decision that they follow from."""

from typing import ClassVar

from protocol.events import Row
from protocol.ids import ConversationId, MessageId, SuggestionId, UserId


class SuggestionUseRow(Row, frozen=True, kw_only=True):
    """A message that came from a suggestion, until it is counted."""

    table: ClassVar[str] = "suggestion_uses"
    key: ClassVar[tuple[str, ...]] = ("message_id",)

    message_id: MessageId
    conversation_id: ConversationId
    user_id: UserId
    suggestion_id: SuggestionId
    reply_index: int
    #: Of the text that was sent, by which it is compared with the text that was suggested.
    digest: int
