"""What a message needs to be composed: its reader, and what happened, in the reader's language. Many at a time."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from protocol.delivery.channels import Channel
from protocol.delivery.terms import DIGEST
from protocol.ids import DeliveryId
from protocol.notification.terms import Reader
from server.delivery.adapters import Suppressed
from server.delivery.digest import Digest, digest_text, make_digest
from server.delivery.renderer import NotificationRenderer, Scene, load_scene
from server.delivery.suppression import not_now
from server.delivery.worker import NotAttempted
from server.words.languages import Language, Text, language
from storage.database import Pool
from storage.deliveries import Leased
from storage.queries.notification import Kept, count_unread, load_notifications
from storage.queries.recipient import load_readers
from storage.queries.suppression import Key, list_digests
from storage.short_messages import load_stopped

_BY_NUMBER = frozenset({Channel.SMS, Channel.WHATSAPP})


@dataclass(frozen=True, slots=True)
class DeliveryContext:
    """All that is known of one delivery at the moment of sending."""

    delivery: Leased
    reader: Reader
    language: Language
    #: The notification, with its event as far as the reader may still see it; None: there is none.
    kept: Kept | None
    scene: Scene
    #: Only of a delivery whose template is ``digest``.
    digest: Digest | None = None
    #: How many of the reader's notifications are unread, 100 at most; only of a delivery to a device.
    unread: int = 0
    #: The number that a short message would go to said STOP.
    stopped: bool = False

    @property
    def title(self) -> str:
        """The title; empty if there is nothing to tell."""
        return self._words.title

    @property
    def body(self) -> str:
        """The one sentence, or the digest in plain text; empty if there is nothing to tell."""
        return self._words.body

    @property
    def _words(self) -> Text:
        """Those of the notification, or of the digest; where there never was one, the template's, with the code."""
        if self.digest is not None:
            zone = self.reader.preferences.zone
            return Text(self.language.say("digest.title"), digest_text(self.digest, self.language, zone))
        if self.kept is not None:
            told = NotificationRenderer(self.language, self.scene).tell(self.kept)
            return Text(told.title, told.body)
        if self.delivery.notification_id is not None:
            return Text("", "")
        title, body = self.language.notification(self.delivery.template)
        if "{code}" in body and self.delivery.secret is None:
            return Text("", "")
        return Text(title, body.replace("{code}", self.delivery.secret or ""))


async def brief(
    pool: Pool, deliveries: Sequence[Leased], now: datetime
) -> dict[DeliveryId, DeliveryContext | Suppressed | NotAttempted]:
    """Read what these need, or why they are not to be sent now; whose reader was erased is not among them."""
    readers = await load_readers(pool, list({one.user_id for one in deliveries}), now)
    briefs: dict[DeliveryId, DeliveryContext | Suppressed | NotAttempted] = {
        **await not_now(pool, deliveries, readers, now)
    }
    wanted = [one for one in deliveries if one.user_id in readers and one.id not in briefs]
    listed = await list_digests(pool, [one.id for one in wanted if one.template == DIGEST])
    told = {(one.user_id, one.notification_id) for one in wanted if one.notification_id is not None}
    kept = await load_notifications(pool, list(told.union(*listed.values())))
    scene = await load_scene(pool, list(kept.values()))
    unread = await count_unread(pool, list({one.user_id for one in wanted if one.device_id is not None}))
    stopped = await load_stopped(pool, {one.address for one in wanted if one.channel in _BY_NUMBER and one.address})
    for one in wanted:
        reader = readers[one.user_id]
        of_digest = [kept[key] for key in listed.get(one.id, ()) if key in kept]
        made = _brief(one, reader, kept, of_digest, scene)
        count = unread.get(reader.user_id, 0)
        said_stop = _is_stopped(one, reader, stopped)
        briefs[one.id] = replace(made, unread=count, stopped=said_stop) if isinstance(made, DeliveryContext) else made
    return briefs


def _is_stopped(one: Leased, reader: Reader, stopped: Collection[str]) -> bool:
    """Whether the number that it would go to said STOP; checked at the last moment, since that wins over all."""
    return reader.stopped if one.address is None else one.address in stopped


def _brief(
    one: Leased,
    reader: Reader,
    kept: Mapping[Key, Kept],
    of_digest: Sequence[Kept],
    scene: Scene,
) -> DeliveryContext | Suppressed:
    spoken = language(reader.language)
    if one.template != DIGEST:
        about = None if one.notification_id is None else kept.get((one.user_id, one.notification_id))
        if about is not None and not scene.shows(about):
            return Suppressed("not_visible")
        return DeliveryContext(one, reader, spoken, about, scene)
    wishes = reader.preferences.channels
    wanted = [one for one in of_digest if scene.shows(one) and Channel.EMAIL in wishes.get(one.type, (Channel.EMAIL,))]
    digest = make_digest(wanted, NotificationRenderer(spoken, scene))
    return DeliveryContext(one, reader, spoken, None, scene, digest) if digest.items else Suppressed("nothing_new")
