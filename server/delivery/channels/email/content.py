"""The content of e-mails in their reader's language, before rendering."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from protocol.booking.events import BookingCompleted, BookingConfirmed, BookingReminded
from protocol.code.terms import EMAIL_CHANGED, TEMPLATES, Purpose
from protocol.delivery.terms import DIGEST
from protocol.ids import BookingId, Kind, UserId
from protocol.notification.registry import NOTIFICATIONS
from protocol.user.events import SessionOpened
from server.delivery.context import DeliveryContext
from server.links.booking_details import booking_details
from server.links.tokens import Link, LinkAction
from server.words.defusing import defused
from server.words.languages import Language
from storage.queries.booking_email import BookingEmailView

#: How long an unsubscribe link works.
UNSUBSCRIBE_FOR = timedelta(days=365)
#: Titles in a digest's preheader.
PREHEADER_ITEMS_MAX = 5

#: Template of a code → prefix of its text keys.
CODES = {TEMPLATES[Purpose.EMAIL]: "code", TEMPLATES[Purpose.PASSWORD]: "reset"}
#: Kinds that cannot be unsubscribed: they concern the safety of an account.
#: How long the letter about a new device can sign that device out.
NOT_ME_VALID_S = 7 * 86_400
_SAFETY = {SessionOpened.type, EMAIL_CHANGED} | {one.name for one in NOTIFICATIONS if one.critical}
_UNSUBSCRIBABLE = {one.name for one in NOTIFICATIONS} - _SAFETY | {DIGEST}
#: A URL or an e-mail address in a name.
_ADDRESS = re.compile(r"[/@\\]|\w\.\w{2,}")


class EmailButton(Struct, frozen=True, kw_only=True):
    """A link to something that the reader can do."""

    label: str
    url: str
    hint: str
    #: Shown less prominently: the reader is not asked to do it.
    quiet: bool = False


class EmailItem(Struct, frozen=True, kw_only=True):
    """One notification in a digest."""

    title: str
    body: str
    at: str


class EmailContent(Struct, frozen=True, kw_only=True):
    """Everything that an e-mail says."""

    layout: Literal["notice", "digest", "code"]
    subject: str
    title: str
    hello: str
    lead: str
    #: What a mail program's list shows after the subject.
    preheader: str
    #: Why the reader gets it.
    why: str
    #: Label and value.
    details: Sequence[tuple[str, str]] = ()
    buttons: Sequence[EmailButton] = ()
    items: Sequence[EmailItem] = ()
    #: The sentence about further items; empty: there are none.
    more: str = ""
    code: str = ""
    hint: str = ""
    unsubscribe_url: str | None = None


class EmailWriter:
    """Writes the content of e-mails.

    Args:
        url_of: returns the URL of a link.
        brand: the installation's name.
    """

    def __init__(self, url_of: Callable[[Link], str], brand: str) -> None:
        self._url_of = url_of
        self._brand = brand

    def notice(self, context: DeliveryContext, booking: BookingEmailView | None, now: datetime) -> EmailContent:
        """An e-mail about one event.

        Args:
            booking: its booking, if the reader may still see it.
        """
        language = context.language
        details: Sequence[tuple[str, str]] = ()
        buttons: Sequence[EmailButton] = ()
        if booking is not None:
            for_customer = booking.customer_id == context.reader.user_id
            details = list(booking_details(booking, language, for_customer=for_customer))
            buttons = self._buttons(context, booking, language, now) if for_customer else ()
        elif context.record is not None and isinstance(context.record.event, SessionOpened):
            buttons = self._not_me(context.reader.user_id, context.record.event, language)
        return EmailContent(
            layout="notice",
            subject=context.title,
            title=context.title,
            hello=_hello(context, language),
            lead=context.body,
            preheader=context.body,
            why=self._why(context, booking, language),
            details=details,
            buttons=buttons,
            unsubscribe_url=self._unsubscribe(context),
        )

    def digest(self, context: DeliveryContext) -> EmailContent:
        """An e-mail with the notifications deferred to a day."""
        digest, language = context.digest, context.language
        assert digest is not None
        zone = context.reader.preferences.zone
        return EmailContent(
            layout="digest",
            subject=language.count("digest.subject", len(digest.items) + digest.more),
            title=language.say("digest.title"),
            hello=_hello(context, language),
            lead=language.say("digest.opening"),
            preheader=" · ".join(item.title for item in digest.items[:PREHEADER_ITEMS_MAX]),
            why=language.say("why.account", brand=self._brand),
            items=[
                EmailItem(title=item.title, body=item.body, at=language.moment(item.at, zone)) for item in digest.items
            ],
            more=language.say("digest.more", count=str(digest.more)) if digest.more else "",
            unsubscribe_url=self._unsubscribe(context),
        )

    def code(self, context: DeliveryContext) -> EmailContent:
        """An e-mail with a code. It contains no name, since the person who asked for the code may have invented it."""
        language, delivery = context.language, context.delivery
        name = CODES[delivery.template]
        assert delivery.secret is not None
        lead = language.say(f"{name}.lead")
        hint = ""
        if delivery.expires_at is not None:
            minutes = round((delivery.expires_at - delivery.at) / timedelta(minutes=1))
            hint = language.count("code.holds", minutes)
        return EmailContent(
            layout="code",
            subject=language.say(f"{name}.title"),
            title=language.say(f"{name}.title"),
            hello=language.say("hello.unnamed"),
            lead=lead,
            preheader=lead,
            why=language.say("why.code"),
            code=delivery.secret,
            hint=hint,
        )

    def _buttons(
        self, context: DeliveryContext, booking: BookingEmailView, language: Language, now: datetime
    ) -> Sequence[EmailButton]:
        event = None if context.record is None else context.record.event
        user_id, subject = context.reader.user_id, str(booking.id)
        match event:
            case BookingConfirmed() | BookingReminded() if now < booking.starts_at:
                link = Link(action=LinkAction.CANCEL, user_id=user_id, subject=subject, expires_at=booking.starts_at)
                hint = language.say("cancel.hint")
                return (EmailButton(label=language.say("cancel"), url=self._url_of(link), hint=hint, quiet=True),)
            case BookingCompleted(release_at=release_at) if now < release_at:
                link = Link(action=LinkAction.CONFIRM, user_id=user_id, subject=subject, expires_at=release_at)
                at = language.long_moment(release_at, booking.zone)
                hint = language.say("confirm.hint", business=defused(booking.business), release_at=at)
                return (EmailButton(label=language.say("confirm"), url=self._url_of(link), hint=hint),)
        return ()

    def _not_me(self, user_id: UserId, event: SessionOpened, language: Language) -> Sequence[EmailButton]:
        link = Link(
            action=LinkAction.NOT_ME,
            user_id=user_id,
            subject=str(event.session_id),
            expires_at=event.at + timedelta(seconds=NOT_ME_VALID_S),
        )
        return (EmailButton(label=language.say("not_me"), url=self._url_of(link), hint=language.say("not_me.hint")),)

    def _why(self, context: DeliveryContext, booking: BookingEmailView | None, language: Language) -> str:
        if context.delivery.template in _SAFETY:
            return language.say("why.safety")
        if booking is not None:
            return language.say("why.booking", number=booking.number)
        return language.say("why.account", brand=self._brand)

    def _unsubscribe(self, context: DeliveryContext) -> str | None:
        """The unsubscribe URL; None for kinds that cannot be unsubscribed."""
        name = context.delivery.template
        if name not in _UNSUBSCRIBABLE or context.delivery.critical:
            return None
        until = (context.delivery.at + UNSUBSCRIBE_FOR).replace(microsecond=0)
        return self._url_of(
            Link(action=LinkAction.UNSUBSCRIBE, user_id=context.reader.user_id, subject=name, expires_at=until)
        )


def booking_of(context: DeliveryContext) -> BookingId | None:
    """The booking that the e-mail is about; None if there is none or the reader may not see it any more."""
    record = context.record
    if record is None or record.event is None or record.entity.kind is not Kind.BOOKING:
        return None
    return BookingId(record.entity.id)


def name_of(context: DeliveryContext) -> str:
    """The reader's name; empty if it contains an address.

    Otherwise anyone could sign up another person's address with a link as the name.
    """
    name = " ".join(context.reader.name.split())
    return "" if _ADDRESS.search(name) else name


def _hello(context: DeliveryContext, language: Language) -> str:
    name = name_of(context)
    return language.say("hello", name=name) if name else language.say("hello.unnamed")
