"""The daily digest: the deferred notifications that are still unread, in one e-mail."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from server.delivery.renderer import NotificationRenderer
from server.words.languages import Language
from storage.queries.notification import NotificationRecord

#: Notifications that one digest lists; further ones are only counted.
DIGEST_ITEMS_MAX = 50


@dataclass(frozen=True, slots=True)
class DigestItem:
    """One notification in a digest."""

    title: str
    body: str
    at: datetime
    #: What the notification is about: ``booking/<id>``.
    entity: str


@dataclass(frozen=True, slots=True)
class Digest:
    """The unread notifications deferred to a day, oldest first."""

    items: tuple[DigestItem, ...]
    #: How many more there are.
    more: int = 0


def make_digest(records: Sequence[NotificationRecord], renderer: NotificationRenderer) -> Digest:
    """List what is still unread, in the order in which it happened."""
    unread = sorted((one for one in records if not one.read), key=lambda one: one.at)
    views = [renderer.render(one) for one in unread[:DIGEST_ITEMS_MAX]]
    items = tuple(DigestItem(one.title, one.body, one.at, one.entity) for one in views)
    return Digest(items, len(unread) - len(items))


def digest_text(digest: Digest, language: Language, zone: str) -> str:
    """A digest as plain text: an opening line, then time, title and sentence of each item."""
    parts = [language.say("digest.opening")]
    parts += [f"{language.moment(item.at, zone)}\n{item.title}\n{item.body}".rstrip() for item in digest.items]
    if digest.more:
        parts.append(language.say("digest.more", count=str(digest.more)))
    return "\n\n".join(parts)
