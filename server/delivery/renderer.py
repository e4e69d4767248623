"""Renders notifications in their reader's language, with names, times and amounts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from msgspec.structs import asdict

from protocol.events import Event
from protocol.ids import SYSTEM, BusinessId, Kind, UserId
from protocol.money import Money
from protocol.notice.events import NotificationSent
from protocol.notice.rows import Notice
from protocol.notification.views import NotificationView
from protocol.user.events import UserInvited, UserNotJoined
from server.words.defusing import defused
from server.words.languages import Language, Text
from storage.database import Pool
from storage.queries.invitation import load_business_names
from storage.queries.notification import BookingSummary, NotificationRecord, load_bookings, load_notices
from storage.queries.user import load_names

#: Kinds of entity whose id is a booking's: a conversation has the id of its booking.
_BOOKED = frozenset({Kind.BOOKING, Kind.CONVERSATION})

#: Events whose texts name a business.
_INVITING = (UserInvited, UserNotJoined)


@dataclass(frozen=True, slots=True)
class NotificationContext:
    """What the texts of some notifications refer to: bookings, people's names and notices."""

    bookings: Mapping[Any, BookingSummary]
    names: Mapping[UserId, str]
    #: Notices that were not erased.
    notices: Mapping[UUID, Notice]
    #: Names of businesses that invitations are from.
    businesses: Mapping[BusinessId, str] = field(default_factory=dict)

    def is_visible(self, record: NotificationRecord) -> bool:
        """Whether the reader may still see the event, and its notice was not erased."""
        event = record.event
        return event is not None and (not isinstance(event, NotificationSent) or event.notice_id in self.notices)


async def load_notification_context(pool: Pool, records: Sequence[NotificationRecord]) -> NotificationContext:
    """Load what the texts of these notifications refer to."""
    bookings = await load_bookings(pool, [one.entity.id for one in records if one.entity.kind in _BOOKED])
    notice_ids = [one.event.notice_id for one in records if isinstance(one.event, NotificationSent)]
    found = await load_notices(pool, notice_ids) if notice_ids else []
    notices = {one.id: one for one in found if isinstance(one, Notice)}
    inviting = [one.event.business_id for one in records if isinstance(one.event, _INVITING)]
    businesses = await load_business_names(pool, inviting) if inviting else {}
    return NotificationContext(bookings, await load_names(pool, _user_ids(records, bookings)), notices, businesses)


def _user_ids(records: Sequence[NotificationRecord], bookings: Mapping[Any, BookingSummary]) -> Iterator[UserId]:
    for booking in bookings.values():
        yield from (booking.customer_id, booking.staff_id)
    for record in records:
        if (by := _by(record.event)) is not None:
            yield by


def _by(event: Event | None) -> UserId | None:
    """The user who caused the event, if the event names one."""
    return getattr(event, "by", None) or getattr(event, "sender_id", None)


@dataclass(frozen=True, slots=True)
class NotificationRenderer:
    """Renders notifications in their reader's language."""

    language: Language
    #: The reader's.
    zone: str
    context: NotificationContext

    def render(self, record: NotificationRecord) -> NotificationView:
        """Render one notification; without its event it has a title only."""
        title, body = self._text(record)
        return NotificationView(
            id=record.id,
            type=record.type,
            title=title,
            body=body,
            entity=str(record.entity),
            read=record.read,
            at=record.at,
        )

    def _text(self, record: NotificationRecord) -> Text:
        title, body = self.language.notification(record.type)
        if record.event is None:
            return Text(title, "")
        if isinstance(record.event, NotificationSent):
            notice = self.context.notices.get(record.event.notice_id)
            return Text(title, body) if notice is None else Text(notice.title, notice.body)
        return Text(title, body.format_map(_Fields(self._fields(record, record.event), self.language)))

    def _fields(self, record: NotificationRecord, event: Event) -> dict[str, str]:
        fields = asdict(event)
        texts = {name: value for name, value in fields.items() if isinstance(value, str)}
        texts["at"] = self.language.moment(record.at, "UTC")
        booking = self.context.bookings.get(record.entity.id)
        if booking is not None:
            texts |= {
                "title": defused(booking.title),
                "number": booking.number,
                "starts_at": self.language.moment_for(booking.starts_at, booking.zone, self.zone),
                "customer": self._name(booking.customer_id),
                "staff": self._name(fields.get("staff_id", booking.staff_id)),
            }
        if isinstance(event, _INVITING):
            texts["business"] = self.context.businesses.get(event.business_id, "…")
        by = _by(event)
        if by is not None:
            texts["by"] = self._name(by)
        if "amount_minor" in fields:
            texts["amount"] = self.language.amount(Money(fields["amount_minor"], fields["currency"]))
        return texts

    def _name(self, user_id: UserId) -> str:
        if user_id == SYSTEM:
            return "Guildwire"
        return defused(self.context.names.get(user_id, self.language.formats.someone))


class _Fields(dict[str, str]):
    """The fields of a text; an unknown person reads "somebody", anything else unknown an ellipsis."""

    def __init__(self, fields: Mapping[str, str], language: Language) -> None:
        super().__init__(fields)
        self._someone = language.formats.someone

    def __missing__(self, name: str) -> str:
        return self._someone if name in ("by", "customer", "staff") else "…"
