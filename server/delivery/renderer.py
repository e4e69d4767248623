"""Notifications in words: each in its reader's language, with names, times and amounts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from msgspec.structs import asdict

from protocol.events import Event
from protocol.ids import SYSTEM, Kind, UserId
from protocol.money import Money
from protocol.notice.events import NotificationSent
from protocol.notice.rows import Notice
from protocol.notification.views import NotificationView
from server.words.languages import Language, Text
from storage.database import Pool
from storage.queries.notification import About, Kept, load_bookings, load_notices
from storage.queries.user import load_names

#: Things that an event may be about which stand in the table of bookings: a thread has its booking's id.
_BOOKED = frozenset({Kind.BOOKING, Kind.CONVERSATION})


@dataclass(frozen=True, slots=True)
class Scene:
    """What notifications speak of: the bookings, or threads, and the people."""

    abouts: Mapping[Any, About]
    names: Mapping[UserId, str]
    #: What admins wrote, as far as it is still there.
    notices: Mapping[UUID, Notice]

    def shows(self, kept: Kept) -> bool:
        """Whether there is more to tell than what kind of thing happened: rights may go, and texts be erased."""
        event = kept.event
        return event is not None and (not isinstance(event, NotificationSent) or event.notice_id in self.notices)


async def load_scene(pool: Pool, items: Sequence[Kept]) -> Scene:
    """Read what it takes to put these into words."""
    abouts = await load_bookings(pool, [kept.about.id for kept in items if kept.about.kind in _BOOKED])
    notice_ids = [kept.event.notice_id for kept in items if isinstance(kept.event, NotificationSent)]
    found = await load_notices(pool, notice_ids) if notice_ids else []
    notices = {one.id: one for one in found if isinstance(one, Notice)}
    return Scene(abouts, await load_names(pool, _people(items, abouts)), notices)


def _people(items: Sequence[Kept], abouts: Mapping[Any, About]) -> Iterator[UserId]:
    for about in abouts.values():
        yield from (about.customer_id, about.staff_id)
    for kept in items:
        if (by := _by(kept.event)) is not None:
            yield by


def _by(event: Event | None) -> UserId | None:
    """Who did it, where the event says so."""
    return getattr(event, "by", None) or getattr(event, "sender_id", None)


@dataclass(frozen=True, slots=True)
class NotificationRenderer:
    """Puts notifications into one language."""

    language: Language
    scene: Scene

    def tell(self, kept: Kept) -> NotificationView:
        """One notification; of what its reader may not see any more it says only what kind of thing happened."""
        title, body = self._text(kept)
        return NotificationView(
            id=kept.id,
            type=kept.type,
            title=title,
            body=body,
            entity=str(kept.about),
            read=kept.read,
            at=kept.at,
        )

    def _text(self, kept: Kept) -> Text:
        title, body = self.language.notification(kept.type)
        if kept.event is None:
            return Text(title, "")
        if isinstance(kept.event, NotificationSent):
            notice = self.scene.notices.get(kept.event.notice_id)
            return Text(title, body) if notice is None else Text(notice.title, notice.body)
        return Text(title, body.format_map(_Words(self._words(kept, kept.event), self.language)))

    def _words(self, kept: Kept, event: Event) -> dict[str, str]:
        fields = asdict(event)
        words = {name: value for name, value in fields.items() if isinstance(value, str)}
        about = self.scene.abouts.get(kept.about.id)
        if about is not None:
            words |= {
                "title": about.title,
                "number": about.number,
                "starts_at": self.language.moment(about.starts_at, about.zone),
                "customer": self._name(about.customer_id),
                "staff": self._name(fields.get("staff_id", about.staff_id)),
            }
        by = _by(event)
        if by is not None:
            words["by"] = self._name(by)
        if "amount_minor" in fields:
            words["amount"] = self.language.amount(Money(fields["amount_minor"], fields["currency"]))
        return words

    def _name(self, user_id: UserId) -> str:
        return "Guildwire" if user_id == SYSTEM else self.scene.names.get(user_id, self.language.formats.someone)


class _Words(dict[str, str]):
    """What may stand in a text; what is not known reads as somebody or something."""

    def __init__(self, words: Mapping[str, str], spoken: Language) -> None:
        super().__init__(words)
        self._somebody = spoken.formats.someone

    def __missing__(self, name: str) -> str:
        return self._somebody if name in ("by", "customer", "staff") else "…"
