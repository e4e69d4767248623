"""The daily digest: what was put off and is still unread, in one letter."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from server.delivery.renderer import NotificationRenderer
from server.words.languages import Language
from storage.queries.notification import Kept

#: Notifications that one digest lists; of those beyond it only the number is told.
DIGEST_ITEMS_MAX = 50


@dataclass(frozen=True, slots=True)
class DigestItem:
    """One line of a digest."""

    title: str
    body: str
    at: datetime
    #: What it is about: ``booking/<id>``.
    entity: str


@dataclass(frozen=True, slots=True)
class Digest:
    """What was put off to a day and is still unread, the oldest first."""

    items: tuple[DigestItem, ...]
    #: How many more there are.
    more: int = 0


def make_digest(kept: Sequence[Kept], teller: NotificationRenderer) -> Digest:
    """List what is still unread, in the order in which it happened."""
    unread = sorted((one for one in kept if not one.read), key=lambda one: one.at)
    told = [teller.tell(one) for one in unread[:DIGEST_ITEMS_MAX]]
    return Digest(tuple(DigestItem(one.title, one.body, one.at, one.entity) for one in told), len(unread) - len(told))


def digest_text(digest: Digest, spoken: Language, zone: str) -> str:
    """A digest in plain text: a greeting line, then for each item when, what, and the sentence."""
    parts = [spoken.say("digest.opening")]
    parts += [f"{spoken.moment(item.at, zone)}\n{item.title}\n{item.body}".rstrip() for item in digest.items]
    if digest.more:
        parts.append(spoken.say("digest.more", count=str(digest.more)))
    return "\n\n".join(parts)
