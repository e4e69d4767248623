"""Terms of suggested replies: bounds, enums, small structs and refusals."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from protocol.ids import SuggestionId

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
