"""Views of suggested replies, and the queries that return them."""

from protocol.errors import NotFound
from protocol.ids import ConversationId, MessageId, SuggestionId
from protocol.registry import Query, View, query
from protocol.roles import ANYONE
from protocol.suggestion.terms import ReplySource


class SuggestionsView(View, frozen=True, kw_only=True):
    """Five replies for one reader, for as long as nothing else is said."""

    #: To be named by the message that comes of one of them.
    id: SuggestionId
    conversation_id: ConversationId
    replies: list[str]
    #: ``en``, ``de`` or ``it``.
    language: str
    source: ReplySource
    #: The message that they follow; None: nobody has said anything.
    last_message_id: MessageId | None


@query(
    "conversation.suggestions",
    by=ANYONE,
    view=SuggestionsView,
    routes=("GET /conversations/{conversation_id}/suggestions",),
    errors=(NotFound,),
)
class GetSuggestions(Query, frozen=True, kw_only=True):
    """Five short replies that fit what was said last, in the reader's language; within two seconds."""

    conversation_id: ConversationId
