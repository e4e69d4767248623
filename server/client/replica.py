"""A client's own copy of what is open, kept current by events alone: snapshot + events = the next snapshot.

    replica = Replica(await rest.call(GetSnapshot()), me)
    client = Client(rest, since=replica.as_of)
    async for event in client.events():
        replica.apply(event)
        for query in list(replica.to_fetch):
            replica.put(await client.ask(query))

Pure: it asks for nothing itself. What events do not say by design (how people are called; what there was before the
snapshot) it names in ``to_fetch``, as the queries whose answers to ``put``. Until then it shows what it knows.
"""

from collections import OrderedDict
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from protocol.booking.events import BookingCreated, BookingRevived
from protocol.booking.terms import Phase
from protocol.booking.views import BookingDetail, BookingView, GetBooking
from protocol.conversation.events import ConversationMembersChanged, ConversationOpened
from protocol.conversation.rows import MessageRow
from protocol.conversation.terms import roles_seen
from protocol.conversation.views import ConversationDetail, ConversationView, GetConversation, JobContext
from protocol.events import EVENTS
from protocol.events import Event as Happened
from protocol.ids import BookingId, ConversationId, Kind, UserId
from protocol.registry import Query
from protocol.roles import PROVIDERS, Principal, Role
from protocol.snapshot import Snapshot
from protocol.user.views import UserView
from server.client.bookings import booking_after, new_booking
from server.client.live import Event
from server.client.threads import Thread, new_thread

#: Bookings that are remembered after they have closed: a late payment may bring one back, a thread may still name it.
CLOSED_MAX = 200
_OPEN = frozenset({Phase.UPCOMING, Phase.ONGOING})


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
        self._threads: dict[ConversationId, Thread] = {}
        self._names: dict[UserId, str] = {me.id: me.name}
        #: What cannot be told from events: ask these, and ``put`` the answers.
        self.to_fetch: set[Query] = set()
        self._truncated = snapshot.truncated
        for view in snapshot.conversations:
            self._learn(view)
            self._keep(view, self._seq)

    @property
    def as_of(self) -> str:
        """Up to where it has heard; the place to resume from."""
        return f"{self._epoch}:{self._seq}"

    @property
    def bookings(self) -> dict[BookingId, BookingView]:
        """The open ones."""
        return dict(self._bookings)

    @property
    def conversations(self) -> dict[ConversationId, ConversationView]:
        """The reader's threads in their role."""
        return {thread_id: thread.view for thread_id, thread in self._threads.items()}

    def apply(self, event: Event) -> None:
        """Take the next event; one that was taken before, or is not kept, changes nothing. Raises: Gap."""
        if event.seq is None or event.seq <= self._seq:
            return
        if event.seq != self._seq + 1:
            raise Gap(f"{event.seq} behind {self._seq}")
        self._seq = event.seq
        kind, _, id_ = event.entity.partition("/")
        if kind == Kind.BOOKING:
            self._booking(BookingId(UUID(id_)), event)
        elif kind == Kind.CONVERSATION:
            self._conversation(ConversationId(UUID(id_)), event)

    def put(self, fetched: BookingDetail | ConversationDetail) -> None:
        """Take the answer to one of ``to_fetch``; what happened up to its moment is in it."""
        if isinstance(fetched, BookingDetail):
            self.to_fetch.discard(GetBooking(booking_id=fetched.id))
            booking = _without_details(fetched, BookingView)
            known = self._known(fetched.id)
            if self._sees(booking) and (known is None or known.version <= booking.version):
                self._show(booking)
            return
        thread, as_of = self._threads.get(fetched.id), _position(fetched.as_of)[1]
        if thread is None or thread.as_of <= as_of:  # else it was overtaken: the question stands
            self.to_fetch.discard(GetConversation(conversation_id=fetched.id))
            view = _without_details(fetched, ConversationView)
            self._learn(view)
            self._keep(view, as_of)

    def lost(self, query: Query) -> None:
        """One of ``to_fetch`` was not found: the reader may not see it any more."""
        self.to_fetch.discard(query)
        if isinstance(query, GetBooking):
            self._bookings.pop(query.booking_id, None)
        elif isinstance(query, GetConversation):
            self._threads.pop(query.conversation_id, None)

    # Bookings

    def _booking(self, booking_id: BookingId, event: Event) -> None:
        if _is_redacted(event):
            self._bookings.pop(booking_id, None)
            return
        happened, _ = _read(event)
        known = self._known(booking_id)
        assert event.version is not None
        if isinstance(happened, BookingCreated):
            view = new_booking(booking_id, happened)
            if self._sees(view):
                self._show(view)
        elif known is None:
            if self._truncated or isinstance(happened, BookingRevived | None):
                self.to_fetch.add(GetBooking(booking_id=booking_id))
            if booking_id in self._threads:
                self.to_fetch.add(GetConversation(conversation_id=ConversationId(booking_id)))
        elif event.version > known.version:
            if happened is None:
                self.to_fetch.add(GetBooking(booking_id=booking_id))
            else:
                self._show(booking_after(known, happened, event.version))

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
        if thread is not None and thread.as_of < self._seq:
            thread.job_now(_job(view))

    # Conversations

    def _conversation(self, conversation_id: ConversationId, event: Event) -> None:
        if _is_redacted(event):
            self._threads.pop(conversation_id, None)
            return
        happened, content = _read(event)
        thread = self._threads.get(conversation_id)
        if isinstance(happened, ConversationOpened):
            self._opened(conversation_id, happened)
        elif thread is None:
            joins = isinstance(happened, ConversationMembersChanged) and self._is_in(happened)
            if joins or self._truncated:
                self.to_fetch.add(GetConversation(conversation_id=conversation_id))
        elif thread.as_of < self._seq:
            if happened is None:
                thread.outdated = True
            else:
                thread.take(happened, content, msgspec.convert(event.at, datetime), self._names, self._seq)
            self._check(conversation_id, thread)

    def _opened(self, conversation_id: ConversationId, event: ConversationOpened) -> None:
        mine = [one.role for one in event.members if one.user_id == self._me.id]
        if conversation_id in self._threads or not mine or mine[0] not in roles_seen(self._principal):
            return
        booking_id = event.booking_id
        booking = booking_id and self._known(booking_id)
        job = _job(booking) if booking else None
        self._keep(new_thread(conversation_id, event, role=mine[0], job=job, names=self._names), self._seq)
        if booking_id is not None and booking is None:
            self.to_fetch.add(GetConversation(conversation_id=conversation_id))

    def _is_in(self, event: ConversationMembersChanged) -> bool:
        seen = roles_seen(self._principal)
        return any(one.user_id == self._me.id and one.role in seen for one in event.joined)

    def _learn(self, view: ConversationView) -> None:
        """Remember how people are called; somebody whose account is gone has no name."""
        self._names.update({member.user_id: member.name for member in view.members})

    def _keep(self, view: ConversationView, as_of: int) -> None:
        thread = self._threads[view.id] = Thread(view, self._me.id, as_of)
        self._check(view.id, thread)

    def _check(self, conversation_id: ConversationId, thread: Thread) -> None:
        """Let go of a thread that the reader has lost, and ask for what is missing in one that they have."""
        view = thread.view
        still_in = any(member.user_id == self._me.id for member in view.members)
        if not still_in or view.role not in roles_seen(self._principal):
            del self._threads[conversation_id]
        elif thread.outdated or any(member.user_id not in self._names for member in view.members):
            self.to_fetch.add(GetConversation(conversation_id=conversation_id))

    @property
    def _principal(self) -> Principal:
        me = self._me
        return Principal(
            user_id=me.id, role=me.role, roles=frozenset(me.roles), business_id=me.business_id, manager=me.manager
        )


def _position(as_of: str) -> tuple[str, int]:
    epoch, _, seq = as_of.rpartition(":")
    return epoch, int(seq)


def _is_redacted(event: Event) -> bool:
    """Whether the reader may not see what it is about any more."""
    return event.data.get("redacted") is True


def _read(event: Event) -> tuple[Happened | None, MessageRow | None]:
    """The event as it is declared, and its free text; None for one of a newer server."""
    declared = EVENTS.get(event.type)
    if declared is None:
        return None, None
    fields = dict(event.data)
    content = fields.pop("content", None)
    row = None if content is None else msgspec.convert(content, MessageRow)
    return msgspec.convert(fields, declared), row


def _job(booking: BookingView) -> JobContext:
    return JobContext(job_id=booking.id, job_title=booking.title, job_time=booking.start_at, status=booking.status)


def _without_details(detail: Any, view: type[Any]) -> Any:
    """The view that a list would show of it."""
    return view(**{name: getattr(detail, name) for name in view.__struct_fields__})
