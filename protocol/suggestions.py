"""Smart replies: five things that a member of a thread might say next (seed 003 §2, SPEC §7)."""

from enum import StrEnum
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from protocol.catalogue import Query, View, query
from protocol.errors import NotFound
from protocol.events import Row
from protocol.ids import ConversationId, MessageId, SuggestionId, UserId
from protocol.roles import ANYONE

#: As many replies are suggested, always.
REPLIES = 5
#: How long one of them is at most, in code points.
REPLY_CHARS_MAX = 120

ReplyIndex = Annotated[int, Meta(ge=0, lt=REPLIES)]


class ReplySource(StrEnum):
    """Who thought of the replies."""

    #: A language model, of at least one of the five.
    MODEL = "model"
    #: The server's own rules.
    LOCAL = "local"


class UsedSuggestion(Struct, frozen=True, forbid_unknown_fields=True):
    """Which suggested reply a message came from, changed or not."""

    #: ``id`` of the suggestions.
    id: SuggestionId
    #: The reply's place among the five, from 0.
    index: ReplyIndex


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
