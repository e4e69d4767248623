"""Delivery contexts: what composing a message needs, loaded for many deliveries at a time."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from protocol.delivery.channels import Channel
from protocol.delivery.terms import DIGEST
from protocol.ids import DeliveryId
from protocol.notification.terms import Reader
from server.delivery.adapters import Suppressed
from server.delivery.digest import Digest, digest_text, make_digest
from server.delivery.renderer import NotificationContext, NotificationRenderer, load_notification_context
from server.delivery.suppression import suppressed
from server.delivery.worker import NotAttempted
from server.words.languages import Language, Text, language
from storage.database import Pool
from storage.deliveries import Leased
from storage.queries.notification import NotificationRecord, count_unread, load_notifications
from storage.queries.recipient import load_readers
from storage.queries.suppression import Key, list_digests
from storage.short_messages import load_opted_out

_BY_NUMBER = frozenset({Channel.SMS, Channel.WHATSAPP})


@dataclass(frozen=True, slots=True)
class DeliveryContext:
    """Everything that is known about one delivery at the moment of sending."""

    delivery: Leased
    reader: Reader
    language: Language
    #: The notification, without its event if the reader may not see it any more. None: there is no notification.
    record: NotificationRecord | None
    notification_context: NotificationContext
    #: Only for a delivery with the template ``digest``.
    digest: Digest | None = None
    #: The reader's unread notifications, 100 at most; only for a delivery to a device.
    unread: int = 0
    #: The number that a short message would go to has opted out.
    opted_out: bool = False

    @property
    def title(self) -> str:
        """The title; empty if there is nothing to send."""
        return self._text.title

    @property
    def body(self) -> str:
        """The sentence, or the digest in plain text; empty if there is nothing to send."""
        return self._text.body

    @property
    def _text(self) -> Text:
        """The text of the digest or of the notification; without either, the template's text with the code."""
        if self.digest is not None:
            zone = self.reader.preferences.zone
            return Text(self.language.say("digest.title"), digest_text(self.digest, self.language, zone))
        if self.record is not None:
            view = NotificationRenderer(self.language, self.reader.preferences.zone, self.notification_context).render(
                self.record
            )
            return Text(view.title, view.body)
        if self.delivery.notification_id is not None:
            return Text("", "")
        title, body = self.language.notification(self.delivery.template)
        if "{code}" in body and self.delivery.secret is None:
            return Text("", "")
        return Text(title, body.replace("{code}", self.delivery.secret or ""))


async def load_contexts(
    pool: Pool, deliveries: Sequence[Leased], now: datetime
) -> dict[DeliveryId, DeliveryContext | Suppressed | NotAttempted]:
    """Return each delivery's context, or why it is not sent now; deliveries to erased readers are left out."""
    readers = await load_readers(pool, list({one.user_id for one in deliveries}), now)
    contexts: dict[DeliveryId, DeliveryContext | Suppressed | NotAttempted] = {
        **await suppressed(pool, deliveries, readers, now)
    }
    wanted = [one for one in deliveries if one.user_id in readers and one.id not in contexts]
    listed = await list_digests(pool, [one.id for one in wanted if one.template == DIGEST])
    keys = {(one.user_id, one.notification_id) for one in wanted if one.notification_id is not None}
    records = await load_notifications(pool, list(keys.union(*listed.values())))
    shared = await load_notification_context(pool, list(records.values()))
    unread = await count_unread(pool, list({one.user_id for one in wanted if one.device_id is not None}))
    opted_out = await load_opted_out(pool, {one.address for one in wanted if one.channel in _BY_NUMBER and one.address})
    for one in wanted:
        reader = readers[one.user_id]
        of_digest = [records[key] for key in listed.get(one.id, ()) if key in records]
        made = _context(one, reader, records, of_digest, shared)
        if isinstance(made, DeliveryContext):
            count = unread.get(reader.user_id, 0)
            made = replace(made, unread=count, opted_out=_has_opted_out(one, reader, opted_out))
        contexts[one.id] = made
    return contexts


def _has_opted_out(one: Leased, reader: Reader, opted_out: Collection[str]) -> bool:
    """Whether the number that the message would go to has opted out, also for critical messages."""
    return reader.opted_out if one.address is None else one.address in opted_out


def _context(
    one: Leased,
    reader: Reader,
    records: Mapping[Key, NotificationRecord],
    of_digest: Sequence[NotificationRecord],
    shared: NotificationContext,
) -> DeliveryContext | Suppressed:
    lang = language(reader.language)
    if one.template != DIGEST:
        record = None if one.notification_id is None else records.get((one.user_id, one.notification_id))
        if record is not None and not shared.is_visible(record):
            return Suppressed("not_visible")
        return DeliveryContext(one, reader, lang, record, shared)
    channels = reader.preferences.channels
    wanted = [
        record
        for record in of_digest
        if shared.is_visible(record) and Channel.EMAIL in channels.get(record.type, (Channel.EMAIL,))
    ]
    digest = make_digest(wanted, NotificationRenderer(lang, reader.preferences.zone, shared))
    return DeliveryContext(one, reader, lang, None, shared, digest) if digest.items else Suppressed("nothing_new")
