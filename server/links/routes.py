"""``/links/{token}`` and ``/unsubscribe/{token}``: GET shows what would happen and changes nothing, POST does it.

What is done goes the way of every command, as the person that the link was written to and under the link's own id: a
second POST finds the first one's answer. Tokens are capabilities, so they are neither logged nor repeated in a page.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from http import HTTPStatus
from uuid import UUID

import structlog
from aiohttp.web import BaseRequest, StreamResponse

from actors.runtime.call import Caller
from protocol.booking.commands import CancelBooking, ConfirmRelease
from protocol.booking.terms import BookingStatus, EscrowStatus
from protocol.delivery.terms import DIGEST
from protocol.errors import Fault
from protocol.ids import BookingId, Kind, Ref
from protocol.preference.commands import StopEmails
from protocol.registry import Command
from protocol.roles import Principal, Role
from server.edge.addresses import limited_as
from server.edge.bodies import read_body
from server.edge.exchange import EXCHANGE
from server.edge.handlers import PlainHandler
from server.edge.rates import Limiters
from server.links.booking_details import booking_details
from server.links.page import Page, render
from server.links.tokens import Act, BrokenLink, Link, LinkExpired, Links, id_of
from server.words import language
from server.words.emails import EMAIL_WORDS, EmailWords, email_words
from server.words.errors import language_of
from storage.database import OUTAGES, Pool
from storage.queries.booking_email import BookingEmailView, load_booking_email_views
from storage.queries.recipient import load_readers

#: A form that a page or a mail program sends; what is in it does not matter.
FORM_BYTES_MAX = 4_096

#: When whoever was told to try again may do so.
PAGE_RETRY_AFTER_S = 5

log = structlog.get_logger(__name__)

Then = Callable[[Link, EmailWords], Awaitable[Page]]


@dataclass(frozen=True, slots=True)
class _Deed:
    """What a link does to a booking."""

    #: How its words are called: ``page.<name>.title``.
    name: str
    command: Callable[[BookingId], Command]
    possible: Callable[[BookingEmailView], bool]
    #: It was done before, by this link or otherwise.
    done: Callable[[BookingEmailView], bool]


_WAITS = frozenset({BookingStatus.PENDING, BookingStatus.CONFIRMED, BookingStatus.DECLINED})
_DEEDS: Mapping[Act, _Deed] = {
    Act.CANCEL: _Deed(
        "cancel",
        lambda booking_id: CancelBooking(booking_id=booking_id),
        lambda occasion: occasion.status in _WAITS,
        lambda occasion: occasion.status is BookingStatus.CANCELLED,
    ),
    Act.CONFIRM: _Deed(
        "confirm",
        lambda booking_id: ConfirmRelease(booking_id=booking_id),
        lambda occasion: occasion.escrow_status is EscrowStatus.PENDING_CLEARANCE,
        lambda occasion: occasion.escrow_status is EscrowStatus.RELEASED,
    ),
}


class LinkPages:
    """Shows what links would do, and does it.

    Args:
        now: the domain's clock.
        brand: how this installation is called.
    """

    def __init__(
        self,
        links: Links,
        runtime: Caller,
        pool: Pool,
        limiters: Limiters,
        *,
        now: Callable[[], datetime],
        brand: str,
    ) -> None:
        self._links = links
        self._runtime = runtime
        self._pool = pool
        self._limiters = limiters
        self._now = now
        self._brand = brand

    @property
    def routes(self) -> Mapping[tuple[str, str], PlainHandler]:
        """What is served."""
        return {
            ("GET", "/links/{token}"): partial(self._show, self._deed_shown),
            ("POST", "/links/{token}"): partial(self._act, self._deed_done),
            ("GET", "/unsubscribe/{token}"): partial(self._show, self._end_shown),
            ("POST", "/unsubscribe/{token}"): partial(self._act, self._end_done),
        }

    async def _show(self, then: Then, request: BaseRequest) -> StreamResponse:
        """Say what the link would do; asking does nothing, since mail scanners ask too."""
        return await self._answer(then, request)

    async def _act(self, then: Then, request: BaseRequest) -> StreamResponse:
        """Do it, once. Raises: LimitReached, BodyTooLarge, RequestTimeout."""
        key = limited_as(request[EXCHANGE].address)
        if key is not None:
            self._limiters.public.take(key)
        await read_body(request, FORM_BYTES_MAX)
        return await self._answer(then, request)

    async def _answer(self, then: Then, request: BaseRequest) -> StreamResponse:
        words = email_words(language_of(request.headers.get("Accept-Language"), EMAIL_WORDS))
        headers: Mapping[str, str] = {}
        try:
            link = self._links.read(request[EXCHANGE].path_params["token"], self._now())
            words = await self._words(link, words)
            page = await then(link, words)
        except BrokenLink:
            page = _plain(HTTPStatus.NOT_FOUND, "broken", words)
        except LinkExpired:
            page = _plain(HTTPStatus.GONE, "expired", words)
        except (Fault, *OUTAGES) as error:
            log.warning("links.postponed", action="ask_to_come_again", error=repr(error))
            page = _plain(HTTPStatus.SERVICE_UNAVAILABLE, "busy", words)
            headers = {"Retry-After": str(PAGE_RETRY_AFTER_S)}
        return render(page, words, self._brand, headers)

    async def _words(self, link: Link, asked_for: EmailWords) -> EmailWords:
        """The language that the person reads; the browser's if there is no such person any more."""
        reader = (await load_readers(self._pool, [link.user_id], self._now())).get(link.user_id)
        return asked_for if reader is None else email_words(language(reader.language).code)

    async def _execute(self, command: Command, to: Ref, link: Link, key: str) -> bool:
        """Do it as the person that the link was written to; answers whether it was possible. Raises: Fault."""
        customer = Principal(user_id=link.user_id, role=Role.CUSTOMER, roles=frozenset({Role.CUSTOMER}))
        outcome = await self._runtime.call(command, to, customer, key=key)
        if isinstance(outcome.error, Fault):
            raise outcome.error
        return outcome.error is None

    # Bookings

    async def _deed_shown(self, link: Link, words: EmailWords) -> Page:
        deed, occasion = _deed_of(link), await self._occasion(link)
        if occasion is None or not deed.possible(occasion):
            return _not_possible(deed, occasion, words)
        return _deed_page(HTTPStatus.OK, f"page.{deed.name}", occasion, words, button=f"page.{deed.name}.button")

    async def _deed_done(self, link: Link, words: EmailWords) -> Page:
        deed, booking_id = _deed_of(link), BookingId(UUID(link.subject))
        done = await self._execute(deed.command(booking_id), Ref(Kind.BOOKING, booking_id), link, id_of(link))
        occasion = await self._occasion(link)
        if occasion is None or not done:
            return _not_possible(deed, occasion, words)
        return _deed_page(HTTPStatus.OK, f"page.{deed.name}.done", occasion, words)

    async def _occasion(self, link: Link) -> BookingEmailView | None:
        """The booking; None if there is none, or if it is not that person's."""
        booking_id = BookingId(UUID(link.subject))
        occasion = (await load_booking_email_views(self._pool, [booking_id])).get(booking_id)
        return occasion if occasion is not None and occasion.customer_id == link.user_id else None

    # Letters that somebody wants no more of

    async def _end_shown(self, link: Link, words: EmailWords) -> Page:
        kind = _kind_of(link, words)
        return Page(
            status=HTTPStatus.OK,
            title=words.say("page.unsubscribe.title"),
            lead=words.say("page.unsubscribe.lead", kind=kind),
            button=words.say("page.unsubscribe.button"),
        )

    async def _end_done(self, link: Link, words: EmailWords) -> Page:
        """End them. Whoever wants such letters again and then ends them once more is heard too: each has its own id."""
        kind = _kind_of(link, words)
        command = StopEmails(user_id=link.user_id, template=link.subject)
        if not await self._execute(command, Ref(Kind.USER, link.user_id), link, str(self._runtime.new_id())):
            raise BrokenLink  # the person is no more
        return Page(
            status=HTTPStatus.OK,
            title=words.say("page.unsubscribe.done.title"),
            lead=words.say("page.unsubscribe.done.lead", kind=kind),
        )


def _kind_of(link: Link, words: EmailWords) -> str:
    """How the reader calls what it is about. Raises: BrokenLink."""
    if link.act is not Act.UNSUBSCRIBE:
        raise BrokenLink
    spoken = language(words.code)
    return spoken.digest.title if link.subject == DIGEST else spoken.words(link.subject).title


def _deed_of(link: Link) -> _Deed:
    """Raises: BrokenLink, for a link that belongs to another address."""
    deed = _DEEDS.get(link.act)
    if deed is None:
        raise BrokenLink
    return deed


def _not_possible(deed: _Deed, occasion: BookingEmailView | None, words: EmailWords) -> Page:
    if occasion is None:
        return _plain(HTTPStatus.CONFLICT, f"{deed.name}.late", words)
    used = deed.done(occasion)
    status = HTTPStatus.GONE if used else HTTPStatus.CONFLICT
    return _deed_page(status, f"page.{deed.name}.{'used' if used else 'late'}", occasion, words)


def _deed_page(status: int, name: str, occasion: BookingEmailView, words: EmailWords, button: str = "") -> Page:
    return Page(
        status=status,
        title=words.say(f"{name}.title"),
        lead=words.say(f"{name}.lead", business=occasion.business),
        details=list(booking_details(occasion, words, for_customer=True)),
        button=words.say(button) if button else "",
    )


def _plain(status: int, name: str, words: EmailWords) -> Page:
    return Page(status=status, title=words.say(f"page.{name}.title"), lead=words.say(f"page.{name}.lead"))
