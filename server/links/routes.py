"""``/links/{token}`` and ``/unsubscribe/{token}``: GET shows what would happen and changes nothing, POST does it.

An action is an ordinary command, sent as the user that the e-mail went to, under the link's own command id: a second
POST gets the first one's reply. Tokens are capabilities, so they are neither logged nor repeated in a page.
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
from protocol.ids import BookingId, Kind, Ref, SessionId
from protocol.preference.commands import StopEmails
from protocol.registry import Command
from protocol.roles import Principal, Role
from protocol.user.commands import RevokeSession
from server.edge.addresses import limited_as
from server.edge.bodies import read_body
from server.edge.exchange import EXCHANGE
from server.edge.handlers import PlainHandler
from server.edge.rates import Limiters
from server.links.booking_details import booking_details
from server.links.page import Page, render
from server.links.tokens import BrokenLink, Link, LinkAction, LinkExpired, Links, id_of
from server.words.defusing import defused
from server.words.languages import Language, language, language_of
from storage.database import OUTAGES, Pool
from storage.queries.booking_email import BookingEmailView, load_booking_email_views
from storage.queries.recipient import load_readers

#: The form of a page or a mail program; its content is ignored.
FORM_BYTES_MAX = 4_096

#: The Retry-After header of a 503.
PAGE_RETRY_AFTER_S = 5

log = structlog.get_logger(__name__)

ShowPage = Callable[[Link, Language], Awaitable[Page]]


@dataclass(frozen=True, slots=True)
class _BookingAction:
    """An action on a booking."""

    #: The prefix of its text keys: ``page.<name>.title``.
    name: str
    command: Callable[[BookingId], Command]
    possible: Callable[[BookingEmailView], bool]
    #: Whether it was done before, by this link or otherwise.
    done: Callable[[BookingEmailView], bool]


_NOT_STARTED = frozenset({BookingStatus.PENDING, BookingStatus.CONFIRMED, BookingStatus.DECLINED})
_BOOKING_ACTIONS: Mapping[LinkAction, _BookingAction] = {
    LinkAction.CANCEL: _BookingAction(
        "cancel",
        lambda booking_id: CancelBooking(booking_id=booking_id),
        lambda booking: booking.status in _NOT_STARTED,
        lambda booking: booking.status is BookingStatus.CANCELLED,
    ),
    LinkAction.CONFIRM: _BookingAction(
        "confirm",
        lambda booking_id: ConfirmRelease(booking_id=booking_id),
        lambda booking: booking.escrow_status is EscrowStatus.PENDING_CLEARANCE,
        lambda booking: booking.escrow_status is EscrowStatus.RELEASED,
    ),
}


class LinkPages:
    """Shows what links would do, and does it.

    Args:
        now: the domain's clock.
        brand: the installation's name.
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
        """The routes."""
        return {
            ("GET", "/links/{token}"): partial(self._get, self._show_action),
            ("POST", "/links/{token}"): partial(self._post, self._take_action),
            ("GET", "/unsubscribe/{token}"): partial(self._get, self._show_unsubscribe),
            ("POST", "/unsubscribe/{token}"): partial(self._post, self._unsubscribe),
        }

    async def _get(self, show: ShowPage, request: BaseRequest) -> StreamResponse:
        """Show what the link would do. GET has no effect, since mail scanners follow links."""
        return await self._respond(show, request)

    async def _post(self, show: ShowPage, request: BaseRequest) -> StreamResponse:
        """Do it once. Raises: LimitReached, BodyTooLarge, RequestTimeout."""
        key = limited_as(request[EXCHANGE].address)
        if key is not None:
            self._limiters.public.take(key)
        await read_body(request, FORM_BYTES_MAX)
        return await self._respond(show, request)

    async def _respond(self, show: ShowPage, request: BaseRequest) -> StreamResponse:
        lang = language(language_of(request.headers.get("Accept-Language")))
        headers: Mapping[str, str] = {}
        try:
            link = self._links.read(request[EXCHANGE].path_params["token"], self._now())
            lang = await self._language(link, lang)
            page = await show(link, lang)
        except BrokenLink:
            page = _plain(HTTPStatus.NOT_FOUND, "broken", lang)
        except LinkExpired:
            page = _plain(HTTPStatus.GONE, "expired", lang)
        except (Fault, *OUTAGES) as error:
            log.warning("links.postponed", action="ask_to_retry", error=repr(error))
            page = _plain(HTTPStatus.SERVICE_UNAVAILABLE, "busy", lang)
            headers = {"Retry-After": str(PAGE_RETRY_AFTER_S)}
        return render(page, lang, self._brand, headers)

    async def _language(self, link: Link, requested: Language) -> Language:
        """The reader's language; the browser's if the reader was erased."""
        reader = (await load_readers(self._pool, [link.user_id], self._now())).get(link.user_id)
        return requested if reader is None else language(reader.language)

    async def _execute(self, command: Command, to: Ref, link: Link, key: str) -> bool:
        """Send the command as the e-mail's recipient; returns whether it was accepted. Raises: Fault."""
        customer = Principal(user_id=link.user_id, role=Role.CUSTOMER, roles=frozenset({Role.CUSTOMER}))
        outcome = await self._runtime.call(command, to, customer, key=key)
        if isinstance(outcome.error, Fault):
            raise outcome.error
        return outcome.error is None

    # Bookings

    async def _show_action(self, link: Link, lang: Language) -> Page:
        if link.action is LinkAction.NOT_ME:
            return _plain(HTTPStatus.OK, "not_me", lang, button="page.not_me.button")
        action, booking = _action_of(link), await self._booking(link)
        if booking is None or not action.possible(booking):
            return _not_possible(action, booking, lang)
        return _booking_page(HTTPStatus.OK, f"page.{action.name}", booking, lang, button=f"page.{action.name}.button")

    async def _take_action(self, link: Link, lang: Language) -> Page:
        if link.action is LinkAction.NOT_ME:
            return await self._end_session(link, lang)
        action, booking_id = _action_of(link), BookingId(UUID(link.subject))
        accepted = await self._execute(action.command(booking_id), Ref(Kind.BOOKING, booking_id), link, id_of(link))
        booking = await self._booking(link)
        if booking is None or not accepted:
            return _not_possible(action, booking, lang)
        return _booking_page(HTTPStatus.OK, f"page.{action.name}.done", booking, lang)

    async def _booking(self, link: Link) -> BookingEmailView | None:
        """The booking; None if there is none or the user is not its customer."""
        booking_id = BookingId(UUID(link.subject))
        booking = (await load_booking_email_views(self._pool, [booking_id])).get(booking_id)
        return booking if booking is not None and booking.customer_id == link.user_id else None

    # Sessions

    async def _end_session(self, link: Link, lang: Language) -> Page:
        """Sign out the device that the letter was about."""
        command = RevokeSession(session_id=SessionId(UUID(link.subject)))
        if not await self._execute(command, Ref(Kind.USER, link.user_id), link, id_of(link)):
            return _plain(HTTPStatus.GONE, "not_me.used", lang)
        return _plain(HTTPStatus.OK, "not_me.done", lang)

    # Unsubscribing

    async def _show_unsubscribe(self, link: Link, lang: Language) -> Page:
        kind = _kind_of(link, lang)
        return Page(
            status=HTTPStatus.OK,
            title=lang.say("page.unsubscribe.title"),
            lead=lang.say("page.unsubscribe.lead", kind=kind),
            button=lang.say("page.unsubscribe.button"),
        )

    async def _unsubscribe(self, link: Link, lang: Language) -> Page:
        """Unsubscribe under a new command id each time: the user may have subscribed again since the last use."""
        kind = _kind_of(link, lang)
        command = StopEmails(user_id=link.user_id, template=link.subject)
        if not await self._execute(command, Ref(Kind.USER, link.user_id), link, str(self._runtime.new_id())):
            raise BrokenLink  # the user was erased
        return Page(
            status=HTTPStatus.OK,
            title=lang.say("page.unsubscribe.done.title"),
            lead=lang.say("page.unsubscribe.done.lead", kind=kind),
        )


def _kind_of(link: Link, lang: Language) -> str:
    """The title of the template in the reader's language. Raises: BrokenLink."""
    if link.action is not LinkAction.UNSUBSCRIBE:
        raise BrokenLink
    return lang.say("digest.title") if link.subject == DIGEST else lang.notification(link.subject).title


def _action_of(link: Link) -> _BookingAction:
    """The link's action on a booking. Raises: BrokenLink for a link of another route."""
    action = _BOOKING_ACTIONS.get(link.action)
    if action is None:
        raise BrokenLink
    return action


def _not_possible(action: _BookingAction, booking: BookingEmailView | None, lang: Language) -> Page:
    if booking is None:
        return _plain(HTTPStatus.CONFLICT, f"{action.name}.late", lang)
    used = action.done(booking)
    status = HTTPStatus.GONE if used else HTTPStatus.CONFLICT
    return _booking_page(status, f"page.{action.name}.{'used' if used else 'late'}", booking, lang)


def _booking_page(status: int, name: str, booking: BookingEmailView, lang: Language, button: str = "") -> Page:
    return Page(
        status=status,
        title=lang.say(f"{name}.title"),
        lead=lang.say(f"{name}.lead", business=defused(booking.business)),
        details=list(booking_details(booking, lang, for_customer=True)),
        button=lang.say(button) if button else "",
    )


def _plain(status: int, name: str, lang: Language, button: str = "") -> Page:
    return Page(
        status=status,
        title=lang.say(f"page.{name}.title"),
        lead=lang.say(f"page.{name}.lead"),
        button=lang.say(button) if button else "",
    )
