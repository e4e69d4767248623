"""Views of suggested replies, and the queries that return them."""

from protocol.errors import NotFound
from protocol.ids import ConversationId, MessageId, SuggestionId
from protocol.registry import Query, View, query
from protocol.roles import ANYONE
from protocol.suggestion.terms import ReplySource


class SuggestionsView(View, frozen=True, kw_only=True):
    """Five suggested replies for one reader, valid until the next message."""

    #: Sent with a message that is made from one of the replies.
    id: SuggestionId
    conversation_id: ConversationId
    replies: list[str]
    #: ``en``, ``de`` or ``it``.
    language: str
    source: ReplySource
    #: The last message before them; None: there is none.
    last_message_id: MessageId | None


@query(
    "conversation.suggestions",
    by=ANYONE,
    view=SuggestionsView,
    routes=("GET /conversations/{conversation_id}/suggestions",),
    errors=(NotFound,),
)
class GetSuggestions(Query, frozen=True, kw_only=True):
    """Five short replies to the last messages, in the reader's language; returned within two seconds."""

    conversation_id: ConversationId
