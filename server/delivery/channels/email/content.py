"""What each letter says, in its reader's language, before it has any looks."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from protocol.booking.events import BookingCompleted, BookingConfirmed, BookingReminded
from protocol.code.terms import EMAIL_CHANGED, TEMPLATES, Purpose
from protocol.delivery.terms import DIGEST
from protocol.ids import BookingId, Kind
from protocol.notification.registry import NOTIFICATIONS
from protocol.user.events import SessionOpened
from server.delivery.context import DeliveryContext
from server.links.booking_details import booking_details
from server.links.tokens import Act, Link
from server.words.emails import EmailWords, email_words
from storage.queries.booking_email import BookingEmailView

#: So long somebody can end letters of a kind by the link in one of them.
UNSUBSCRIBE_FOR = timedelta(days=365)
#: Titles that a list of letters shows behind a digest's subject.
PREHEADER_ITEMS_MAX = 5

#: Codes, and which words go with each.
CODES = {TEMPLATES[Purpose.EMAIL]: "code", TEMPLATES[Purpose.PASSWORD]: "reset"}
#: Those that cannot be ended: they are about the safety of an account.
_SAFETY = {SessionOpened.type, EMAIL_CHANGED} | {told.name for told in NOTIFICATIONS if told.critical}
_ENDABLE = {told.name for told in NOTIFICATIONS} - _SAFETY | {DIGEST}
#: An address of the web or of somebody, in a name.
_LEADS_SOMEWHERE = re.compile(r"[/@\\]|\w\.\w{2,}")


class Button(Struct, frozen=True, kw_only=True):
    """One thing that the reader can do."""

    label: str
    url: str
    hint: str
    #: Nothing that they are asked to do.
    quiet: bool = False


class Item(Struct, frozen=True, kw_only=True):
    """One line of a summary."""

    title: str
    body: str
    at: str


class Content(Struct, frozen=True, kw_only=True):
    """All that a letter says."""

    layout: Literal["notice", "digest", "code"]
    subject: str
    title: str
    hello: str
    lead: str
    #: What a list of letters shows behind the subject.
    preheader: str
    #: Why they get it.
    why: str
    #: Label and value.
    details: Sequence[tuple[str, str]] = ()
    buttons: Sequence[Button] = ()
    items: Sequence[Item] = ()
    #: How many more there are; empty: none.
    more: str = ""
    code: str = ""
    hint: str = ""
    unsubscribe_url: str | None = None


class Writer:
    """Says what is in a letter.

    Args:
        url_of: the address of a link.
        brand: how this installation is called.
    """

    def __init__(self, url_of: Callable[[Link], str], brand: str) -> None:
        self._url_of = url_of
        self._brand = brand

    def notice(self, brief: DeliveryContext, occasion: BookingEmailView | None, now: datetime) -> Content:
        """A letter about one thing that happened.

        Args:
            occasion: the booking that it is about, as far as the reader may still see it.
        """
        words = email_words(brief.language.code)
        details: Sequence[tuple[str, str]] = ()
        buttons: Sequence[Button] = ()
        if occasion is not None:
            for_customer = occasion.customer_id == brief.reader.user_id
            details = list(booking_details(occasion, words, for_customer=for_customer))
            buttons = self._buttons(brief, occasion, words, now) if for_customer else ()
        return Content(
            layout="notice",
            subject=brief.title,
            title=brief.title,
            hello=_hello(brief, words),
            lead=brief.body,
            preheader=brief.body,
            why=self._why(brief, occasion, words),
            details=details,
            buttons=buttons,
            unsubscribe_url=self._unsubscribe(brief),
        )

    def digest(self, brief: DeliveryContext) -> Content:
        """A letter about all that was put off to a day."""
        digest, spoken, words = brief.digest, brief.language, email_words(brief.language.code)
        assert digest is not None
        zone = brief.reader.preferences.zone
        return Content(
            layout="digest",
            subject=words.count("digest.subject", len(digest.items) + digest.more),
            title=spoken.digest.title,
            hello=_hello(brief, words),
            lead=spoken.digest.opening,
            preheader=" · ".join(item.title for item in digest.items[:PREHEADER_ITEMS_MAX]),
            why=words.say("why.account", brand=self._brand),
            items=[Item(title=item.title, body=item.body, at=spoken.moment(item.at, zone)) for item in digest.items],
            more=spoken.digest.more.format(count=digest.more) if digest.more else "",
            unsubscribe_url=self._unsubscribe(brief),
        )

    def code(self, brief: DeliveryContext) -> Content:
        """A letter with a code. It names nobody: whoever asked for it may have made the name up."""
        words, delivery = email_words(brief.language.code), brief.delivery
        name = CODES[delivery.template]
        assert delivery.secret is not None
        lead = words.say(f"{name}.lead")
        hint = ""
        if delivery.expires_at is not None:
            minutes = round((delivery.expires_at - delivery.at) / timedelta(minutes=1))
            hint = words.count("code.holds", minutes)
        return Content(
            layout="code",
            subject=words.say(f"{name}.title"),
            title=words.say(f"{name}.title"),
            hello=words.say("hello.nobody"),
            lead=lead,
            preheader=lead,
            why=words.say("why.code"),
            code=delivery.secret,
            hint=hint,
        )

    def _buttons(
        self, brief: DeliveryContext, occasion: BookingEmailView, words: EmailWords, now: datetime
    ) -> Sequence[Button]:
        event = None if brief.kept is None else brief.kept.event
        user_id, subject = brief.reader.user_id, str(occasion.id)
        match event:
            case BookingConfirmed() | BookingReminded() if now < occasion.starts_at:
                link = Link(act=Act.CANCEL, user_id=user_id, subject=subject, expires_at=occasion.starts_at)
                hint = words.say("cancel.hint")
                return (Button(label=words.say("cancel"), url=self._url_of(link), hint=hint, quiet=True),)
            case BookingCompleted(release_at=release_at) if now < release_at:
                link = Link(act=Act.CONFIRM, user_id=user_id, subject=subject, expires_at=release_at)
                at = words.moment(release_at, occasion.zone)
                hint = words.say("confirm.hint", business=occasion.business, release_at=at)
                return (Button(label=words.say("confirm"), url=self._url_of(link), hint=hint),)
        return ()

    def _why(self, brief: DeliveryContext, occasion: BookingEmailView | None, words: EmailWords) -> str:
        if brief.delivery.template in _SAFETY:
            return words.say("why.safety")
        if occasion is not None:
            return words.say("why.booking", number=occasion.number)
        return words.say("why.account", brand=self._brand)

    def _unsubscribe(self, brief: DeliveryContext) -> str | None:
        """Where one click ends letters of this kind; None for those that cannot be ended."""
        name = brief.delivery.template
        if name not in _ENDABLE or brief.delivery.critical:
            return None
        until = (brief.delivery.at + UNSUBSCRIBE_FOR).replace(microsecond=0)
        return self._url_of(Link(act=Act.UNSUBSCRIBE, user_id=brief.reader.user_id, subject=name, expires_at=until))


def about_booking(brief: DeliveryContext) -> BookingId | None:
    """The booking that the letter is about, if there is one and the reader may still see it."""
    kept = brief.kept
    if kept is None or kept.event is None or kept.about.kind is not Kind.BOOKING:
        return None
    return BookingId(kept.about.id)


def name_of(brief: DeliveryContext) -> str:
    """How the reader is called; nothing, where the name is none but leads somewhere.

    Anybody may sign somebody else's address up, and call them what they are to click on.
    """
    name = " ".join(brief.reader.name.split())
    return "" if _LEADS_SOMEWHERE.search(name) else name


def _hello(brief: DeliveryContext, words: EmailWords) -> str:
    name = name_of(brief)
    return words.say("hello", name=name) if name else words.say("hello.nobody")
