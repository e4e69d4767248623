"""Terms of suggested replies: bounds, enums, small structs and refusals."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from protocol.ids import SuggestionId

#: Replies of one suggestion.
REPLIES = 5


#: Code points of one reply.
REPLY_CHARS_MAX = 120


ReplyIndex = Annotated[int, Meta(ge=0, lt=REPLIES)]


class ReplySource(StrEnum):
    """The source of the replies."""

    #: At least one of the five is from a language model.
    MODEL = "model"
    #: All are from the server's own rules.
    LOCAL = "local"


class UsedSuggestion(Struct, frozen=True, forbid_unknown_fields=True):
    """The suggested reply that a message was made from, edited or not."""

    #: The ``id`` of the suggestion.
    id: SuggestionId
    #: The index of the reply, from 0.
    index: ReplyIndex
