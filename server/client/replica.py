"""A client's own copy of what is open, kept current by events alone: snapshot + events = the next snapshot.

    replica = Replica(await rest.call(GetSnapshot()), me)
    client = Client(rest, since=replica.as_of)
    async for event in client.events():
        replica.apply(event)
        for query in list(replica.to_fetch):
            replica.put(await client.ask(query))

Pure: it asks for nothing itself. What events do not say by design (names; what there was before the snapshot) it names
in ``to_fetch``, as the queries whose answers to ``put``. Until then it shows what it knows.
"""

from collections import OrderedDict
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from msgspec.structs import replace

from protocol.booking.terms import Phase
from protocol.booking.views import BookingDetail, BookingView, GetBooking
from protocol.conversation.views import ConversationDetail, ConversationView, GetConversation, JobContext
from protocol.ids import BookingId, ConversationId, Kind
from protocol.registry import Query
from protocol.roles import PROVIDERS, Role
from protocol.snapshot import Snapshot
from protocol.user.views import UserView
from server.client.live import Event
from server.client.messages import after_message

#: Bookings that are remembered after they have closed: a late payment may bring one back, a thread may still name it.
CLOSED_MAX = 200
_OPEN = frozenset({Phase.UPCOMING, Phase.ONGOING})

V = TypeVar("V", BookingView, ConversationView)


def merged(view: V, event: Event) -> V | None:
    """The view after an event of its entity: its ``changes``, put over what is known. The same for every noun.

    None: the event is not the next one of the entity, or something changed that no event carries; fetch it again.
    """
    fields: tuple[str, ...] = type(view).__struct_fields__
    again = set(event.data.get("refetch", ()))
    if event.version != view.version + 1 or again & {"*", *fields}:
        return None
    known: dict[str, Any] = msgspec.to_builtins(view)
    changes = {name: value for name, value in event.data.get("changes", {}).items() if name in fields}
    return msgspec.convert({**known, **changes, "version": event.version}, type(view))


class Gap(Exception):
    """An event does not follow the last one: a new snapshot is needed."""


class Replica:
    """What is open for somebody in the role that they act in.

    Args:
        me: who they are, and what they act as, as the token that the snapshot was asked with says.
    """

    def __init__(self, snapshot: Snapshot, me: UserView) -> None:
        self._me = me
        self._epoch, self._seq = _position(snapshot.as_of)
        self._bookings = {booking.id: booking for booking in snapshot.bookings}
        self._closed: OrderedDict[BookingId, BookingView] = OrderedDict()
        self._threads = {thread.id: thread for thread in snapshot.conversations}
        #: What cannot be told from events: ask these, and ``put`` the answers.
        self.to_fetch: set[Query] = set()
        self._truncated = snapshot.truncated
        #: Threads whose view no event could complete, and the position of the last such event.
        self._outdated: dict[ConversationId, int] = {}

    @property
    def as_of(self) -> str:
        """The position of the last event taken; the place to resume from."""
        return f"{self._epoch}:{self._seq}"

    @property
    def bookings(self) -> dict[BookingId, BookingView]:
        """The open ones."""
        return dict(self._bookings)

    @property
    def conversations(self) -> dict[ConversationId, ConversationView]:
        """The reader's threads in their role."""
        return dict(self._threads)

    def apply(self, event: Event) -> None:
        """Take the next event; one that was taken before, or is not kept, changes nothing. Raises: Gap."""
        if event.seq is None or event.seq <= self._seq:
            return
        if event.seq != self._seq + 1:
            raise Gap(f"{event.seq} behind {self._seq}")
        self._seq = event.seq
        kind, _, text = event.entity.partition("/")
        if kind == Kind.BOOKING:
            self._booking(BookingId(UUID(text)), event)
        elif kind == Kind.CONVERSATION:
            self._conversation(ConversationId(UUID(text)), event)

    def put(self, fetched: BookingDetail | ConversationDetail) -> None:
        """Take the answer to one of ``to_fetch``; what happened up to its moment is in it."""
        if isinstance(fetched, BookingDetail):
            booking = _without_details(fetched, BookingView)
            known = self._known(fetched.id)
            if known is None or known.version <= booking.version:
                self.to_fetch.discard(GetBooking(booking_id=fetched.id))
                if self._sees(booking):
                    self._show(booking)
            return
        thread = self._threads.get(fetched.id)
        overtaken = _position(fetched.as_of)[1] < self._outdated.get(fetched.id, 0)
        if not overtaken and (thread is None or thread.version <= fetched.version):
            self.to_fetch.discard(GetConversation(conversation_id=fetched.id))
            self._threads[fetched.id] = _without_details(fetched, ConversationView)

    def lost(self, query: Query) -> None:
        """One of ``to_fetch`` was not found: the reader may not see it any more."""
        self.to_fetch.discard(query)
        if isinstance(query, GetBooking):
            self._bookings.pop(query.booking_id, None)
        elif isinstance(query, GetConversation):
            self._threads.pop(query.conversation_id, None)

    # Bookings

    def _booking(self, booking_id: BookingId, event: Event) -> None:
        known = self._known(booking_id)
        if event.data.get("redacted"):
            self._bookings.pop(booking_id, None)
        elif known is None:
            self._unknown(booking_id, event)
        elif event.version is not None and event.version > known.version:
            view = merged(known, event)
            if view is None:
                self.to_fetch.add(GetBooking(booking_id=booking_id))
            else:
                self._show(view)

    def _unknown(self, booking_id: BookingId, event: Event) -> None:
        """A booking that is not held: shown if the event says all of it, asked for if it may belong to what is open."""
        changes = event.data.get("changes", {})
        if set(BookingView.__struct_fields__) <= changes.keys():
            view = msgspec.convert(changes, BookingView)
            if self._sees(view):
                self._show(view)
        elif self._truncated or changes.get("phase") in _OPEN:
            self.to_fetch.add(GetBooking(booking_id=booking_id))
        if booking_id in self._threads:
            self.to_fetch.add(GetConversation(conversation_id=ConversationId(booking_id)))

    def _known(self, booking_id: BookingId) -> BookingView | None:
        return self._bookings.get(booking_id) or self._closed.get(booking_id)

    def _sees(self, view: BookingView) -> bool:
        """Whether the reader's lists hold it: as a customer their own, as a manager the business's, else their jobs."""
        me = self._me
        if me.role is Role.CUSTOMER:
            return view.customer_id == me.id
        if me.role not in PROVIDERS or view.business_id != me.business_id:
            return False
        return me.manager or view.staff_id == me.id

    def _show(self, view: BookingView) -> None:
        """Keep the booking, among the open ones or those that were; its thread tells of it too."""
        if view.phase in _OPEN:
            self._closed.pop(view.id, None)
            self._bookings[view.id] = view
        else:
            self._bookings.pop(view.id, None)
            self._closed[view.id] = view
            while len(self._closed) > CLOSED_MAX:
                self._closed.popitem(last=False)
        thread = self._threads.get(ConversationId(view.id))
        if thread is not None:
            self._threads[thread.id] = replace(thread, job_context=_job(view))

    # Conversations

    def _conversation(self, conversation_id: ConversationId, event: Event) -> None:
        thread = self._threads.get(conversation_id)
        if event.data.get("redacted"):
            self._threads.pop(conversation_id, None)
        elif thread is None:
            if event.data.get("refetch") or self._truncated:
                self._ask_again(conversation_id)
        elif event.version is not None and event.version > thread.version:
            view = merged(thread, event)
            view = None if view is None else after_message(view, self._me.id, event)
            if view is None:
                self._ask_again(conversation_id)
            else:
                self._threads[conversation_id] = view

    def _ask_again(self, conversation_id: ConversationId) -> None:
        self._outdated[conversation_id] = self._seq
        self.to_fetch.add(GetConversation(conversation_id=conversation_id))


def _position(as_of: str) -> tuple[str, int]:
    epoch, _, seq = as_of.rpartition(":")
    return epoch, int(seq)


def _job(booking: BookingView) -> JobContext:
    return JobContext(job_id=booking.id, job_title=booking.title, job_time=booking.start_at, status=booking.status)


def _without_details(detail: Any, view: type[Any]) -> Any:
    """The view that a list would show of it."""
    return view(**{name: getattr(detail, name) for name in view.__struct_fields__})
