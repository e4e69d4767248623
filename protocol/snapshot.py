"""The snapshot: everything open that a user may see, as of one event number, so that a client can go on from there."""

from protocol.booking.views import BookingView
from protocol.conversation.views import ConversationView
from protocol.registry import Query, View, query
from protocol.roles import ANYONE

#: Open bookings and threads in one snapshot; the rest is fetched from their lists.
SNAPSHOT_BOOKINGS_MAX = 500
SNAPSHOT_CONVERSATIONS_MAX = 200


class Snapshot(View, frozen=True, kw_only=True):
    """What is open, and the number behind which events change it."""

    #: ``epoch:seq``, read in the same database snapshot: resume with this as ``since``.
    as_of: str
    bookings: list[BookingView]
    conversations: list[ConversationView]
    #: More was open than a snapshot holds.
    truncated: bool


@query("snapshot.get", by=ANYONE, view=Snapshot, routes=("GET /v1/snapshot",))
class GetSnapshot(Query, frozen=True, kw_only=True):
    """What is open for me in the active role, as of one event number."""
