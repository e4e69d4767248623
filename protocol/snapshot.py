"""The snapshot: a user's open bookings and conversations as of one ``seq``, from which a client can resume."""

from protocol.booking.views import BookingView
from protocol.conversation.views import ConversationView
from protocol.registry import Query, View, query
from protocol.roles import ANYONE

#: Open bookings and conversations in one snapshot; the rest is fetched from their lists.
SNAPSHOT_BOOKINGS_MAX = 500
SNAPSHOT_CONVERSATIONS_MAX = 200


class Snapshot(View, frozen=True, kw_only=True):
    """Open bookings and conversations, and the position after which events change them."""

    #: ``epoch:seq``, read in the same database snapshot: resume with this as ``since``.
    as_of: str
    bookings: list[BookingView]
    conversations: list[ConversationView]
    #: Whether more was open than a snapshot contains.
    truncated: bool


@query("snapshot.get", by=ANYONE, view=Snapshot, routes=("GET /v1/snapshot",))
class GetSnapshot(Query, frozen=True, kw_only=True):
    """My open bookings and conversations in the active role, as of one position."""
