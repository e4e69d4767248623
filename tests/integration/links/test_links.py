"""Links in e-mails: GET changes nothing, POST sends a command once."""

import io
import json
import re
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
import structlog

from protocol.booking.commands import CancelBooking, StartBooking
from protocol.booking.views import GetBooking
from protocol.delivery.channels import Channel
from protocol.ids import BookingId
from protocol.preference.commands import SetPreferences
from protocol.preference.views import GetPreferences
from protocol.user.views import CurrentUser
from server.links.tokens import Link, LinkAction, Links, link_key
from server.rest.app import SECRET_PATHS
from tests.support.faults import until
from tests.support.server import PASSWORD, Market, Person, Response, Site

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ONE_CLICK = b"List-Unsubscribe=One-Click"


async def email_to(site: Site, person: Person, template: str) -> dict[str, Any]:
    """Wait for a user's e-mail of a kind, and read it."""
    found: list[str] = []

    async def there() -> bool:
        rows = await site.node.pool.fetch(
            "SELECT m.message FROM development_mailbox m JOIN deliveries d ON d.id = m.delivery_id"
            " WHERE d.template = $1 AND d.user_id = $2 AND d.channel = 'email'",
            *(template, person.id),
        )
        found[:] = [row["message"] for row in rows]
        return bool(found)

    await until(there)
    email: dict[str, Any] = json.loads(found[0])
    return email


def path_in(site: Site, email: dict[str, Any], start: str) -> str:
    """The path of the link in an e-mail, which is the same in both parts."""
    (url,) = {*re.findall(rf"{re.escape(site.url)}({start}[\w-]+)", email["text"])}
    assert f'href="{site.url}{url}"' in email["html"]
    assert isinstance(url, str)
    return url


async def press(path: str, site: Site, body: bytes = b"", **headers: str) -> Response:
    """Post the form of a page, or what a mail program posts instead."""
    async with aiohttp.ClientSession() as http, http.post(site.url + path, data=body, headers=FORM | headers) as answer:
        return Response(answer.status, answer.headers, await answer.read())


async def status_of(person: Person, booking_id: BookingId) -> str:
    return str((await person.call(GetBooking(booking_id=booking_id))).status)


async def scene(site: Site) -> tuple[Market, Person, BookingId, str]:
    """A confirmed booking, and the path of the link in its e-mail."""
    market, customer = await site.market(), await site.person("Carla Customer")
    booking_id = await site.confirmed(market, customer)
    email = await email_to(site, customer, "booking.confirmed")
    return market, customer, booking_id, path_in(site, email, "/links/")


def forged(site: Site, folder: Any, **said: Any) -> str:
    """A link signed with the server's key."""
    return Links(link_key(folder / "keys"), "").url_of(Link(**said))


async def test_a_link_cancels_once_and_a_second_use_shows_the_same_page(server: Site) -> None:
    _, customer, booking_id, path = await scene(server)

    shown = await server.request("GET", path)
    assert (shown.status, await status_of(customer, booking_id)) == (200, "CONFIRMED")
    assert "Cancel this booking?" in shown.body.decode()

    first, second = await press(path, server), await press(path, server)

    assert (first.status, second.status) == (200, 200)
    assert first.body == second.body
    assert await status_of(customer, booking_id) == "CANCELLED"
    happened = "SELECT count(*) FROM journal WHERE id = $1 AND type = 'booking.cancelled'"
    assert await server.node.pool.fetchval(happened, booking_id) == 1
    used = await server.request("GET", path)
    assert used.status == 410
    assert "Cancelled already" in used.body.decode()


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_get_changes_nothing(server: Site, method: str) -> None:
    _, customer, booking_id, path = await scene(server)

    for _ in range(3):
        answer = await server.request(method, path)
        assert answer.status < 300

    assert await status_of(customer, booking_id) == "CONFIRMED"


async def test_a_page_is_not_cached_and_sends_no_referrer(server: Site) -> None:
    _, _, _, path = await scene(server)

    answer = await server.request("GET", path)

    page = answer.body.decode()
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "script" not in page + answer.headers["Content-Security-Policy"]
    assert not re.findall(r'(?:href|src|action)="(?!data:,)', page)
    assert path.rpartition("/")[2] not in page


async def test_a_changed_link_is_refused(server: Site) -> None:
    _, customer, booking_id, path = await scene(server)
    for broken in (path[:-1], path[:-2] + ("AA" if path[-2:] != "AA" else "BB"), path + "A", "/links/x", "/links/%00"):
        for answer in (await server.request("GET", broken), await press(broken, server)):
            assert answer.status == 404, broken
            assert answer.headers["Content-Type"].startswith("text/html")

    crossed = path.replace("/links/", "/unsubscribe/")
    assert (await server.request("GET", crossed)).status == 404
    assert (await press(crossed, server)).status == 404
    assert await status_of(customer, booking_id) == "CONFIRMED"


async def test_a_link_ends_when_the_booking_starts(server: Site) -> None:
    _, customer, booking_id, path = await scene(server)
    await server.advance(timedelta(days=4))

    assert (await server.request("GET", path)).status == 410
    answer = await press(path, server)

    assert (answer.status, "expired" in answer.body.decode()) == (410, True)
    assert await status_of(customer, booking_id) == "CONFIRMED"


async def test_an_action_that_is_not_possible_any_more_is_explained(server: Site) -> None:
    market, customer, booking_id, path = await scene(server)
    await server.until(market.soon - timedelta(hours=1))
    await market.owner.call(StartBooking(booking_id=booking_id))

    assert (await server.request("GET", path)).status == 409
    answer = await press(path, server)

    assert (answer.status, "Too late" in answer.body.decode()) == (409, True)
    assert await status_of(customer, booking_id) == "IN_PROGRESS"


async def test_a_booking_cancelled_otherwise_is_shown_as_cancelled(server: Site) -> None:
    _, customer, booking_id, path = await scene(server)
    await customer.call(CancelBooking(booking_id=booking_id))

    assert (await server.request("GET", path)).status == 410
    assert (await press(path, server)).status == 410


async def test_a_link_does_not_open_another_customer_s_booking(server: Site, tmp_path: Any) -> None:
    _, customer, booking_id, _ = await scene(server)
    stranger = await server.person("Sam Stranger")
    until_at = server.node.clock.now() + timedelta(days=1)
    said = {"action": LinkAction.CANCEL, "user_id": stranger.id, "subject": str(booking_id), "expires_at": until_at}
    path = forged(server, tmp_path, **said)

    shown, done = await server.request("GET", path), await press(path, server)

    assert (shown.status, done.status) == (409, 409)
    assert "Repair" not in (shown.body + done.body).decode()
    assert await status_of(customer, booking_id) == "CONFIRMED"


async def test_a_completed_job_is_confirmed_by_the_link_in_its_email(server: Site) -> None:
    market, customer = await server.market(), await server.person("Carla Customer")
    booking_id = await server.completed(market, customer)
    path = path_in(server, await email_to(server, customer, "booking.completed"), "/links/")
    assert (await server.request("GET", path)).status == 200

    assert (await press(path, server)).status == 200

    assert (await customer.call(GetBooking(booking_id=booking_id))).escrow_status == "RELEASED"
    assert (await server.request("GET", path)).status == 410
    await server.prove()


async def test_pages_are_in_their_reader_s_language(server: Site) -> None:
    _, customer, _, path = await scene(server)
    await customer.call(SetPreferences(language="de"))

    page = (await server.request("GET", path)).body.decode()

    assert '<html lang="de">' in page
    assert "Diese Buchung stornieren?" in page
    broken = await server.request("GET", "/links/x", **{"Accept-Language": "it, en;q=0.5"})
    assert '<html lang="it">' in broken.body.decode()


async def test_staff_get_no_link_that_acts_for_the_customer(server: Site) -> None:
    market, _, _, _ = await scene(server)

    email = await email_to(server, market.staff[0], "booking.confirmed")

    assert "/links/" not in email["text"] + email["html"]


# Unsubscribing


@pytest.mark.parametrize("body", [ONE_CLICK, b""], ids=["mail_program", "page"])
async def test_one_click_without_a_session_unsubscribes(server: Site, body: bytes) -> None:
    market, customer, _, _ = await scene(server)
    email = await email_to(server, customer, "booking.confirmed")
    path = path_in(server, email, "/unsubscribe/")
    assert email["unsubscribe_url"] == server.url + path
    assert (await server.request("GET", path)).status == 200
    assert (await customer.call(GetPreferences())).channels == {}

    answer = await press(path, server, body)

    assert answer.status == 200
    assert (await customer.call(GetPreferences())).channels == {"booking.confirmed": ("push",)}
    await server.confirmed(market, customer, hours=4)
    await server.at_rest()
    sent = "SELECT count(*) FROM deliveries WHERE user_id = $1 AND template = 'booking.confirmed' AND channel <> 'push'"

    async def planned() -> bool:
        return not await server.node.pool.fetchval("SELECT count(*) FROM routing_queue")

    await until(planned)
    assert await server.node.pool.fetchval(sent, customer.id) == 1


async def test_a_reader_can_subscribe_and_unsubscribe_again(server: Site) -> None:
    _, customer, _, _ = await scene(server)
    path = path_in(server, await email_to(server, customer, "booking.confirmed"), "/unsubscribe/")
    await press(path, server, ONE_CLICK)
    await customer.call(SetPreferences())

    await press(path, server, ONE_CLICK)

    assert (await customer.call(GetPreferences())).channels == {"booking.confirmed": ("push",)}


async def test_unsubscribing_changes_no_other_preference(server: Site) -> None:
    _, customer, _, _ = await scene(server)
    preferences = SetPreferences(zone="Asia/Kathmandu", digest_hour=19, channels={"booking.paid": (Channel.PUSH,)})
    await customer.call(preferences)
    path = path_in(server, await email_to(server, customer, "booking.confirmed"), "/unsubscribe/")

    await press(path, server, ONE_CLICK)

    after = await customer.call(GetPreferences())
    assert (after.zone, after.digest_hour) == ("Asia/Kathmandu", 19)
    assert after.channels == {"booking.paid": ("push",), "booking.confirmed": ("push",)}


async def test_emails_about_an_account_s_safety_cannot_be_unsubscribed(server: Site) -> None:
    person = await server.person("Ada")
    await on_another_device(server, person)

    email = await email_to(server, person, "session.opened")

    assert email["unsubscribe_url"] is None
    assert "/unsubscribe/" not in email["text"] + email["html"]


async def test_who_did_not_sign_in_on_a_new_device_signs_it_out(server: Site) -> None:
    person = await server.person("Ada")
    await server.sign_in(person.me.email)  # on a known device: no letter
    stranger = await on_another_device(server, person)
    email = await email_to(server, person, "session.opened")
    (path,) = set(re.findall(r"/links/[\w-]+", email["text"]))

    shown = await server.request("GET", path)
    asked = await server.request("POST", "/auth/refresh/", None, {"refresh_token": stranger})
    done, again = [await server.request("POST", path) for _ in range(2)]
    refused = await server.request("POST", "/auth/refresh/", None, {"refresh_token": asked.json["refresh_token"]})

    assert (shown.status, asked.status, done.status, again.status) == (200, 200, 200, 200)
    assert (refused.status, refused.json["fields"]) == (401, {"reason": "revoked"})
    assert "(android)" in email["text"]
    assert "(UTC)" in email["text"]
    assert await server.node.pool.fetchval("SELECT count(*) FROM deliveries WHERE template = 'session.opened'") == 1
    assert (await person.call(CurrentUser())).id == person.id


async def on_another_device(server: Site, person: Person) -> str:
    """Sign in on a device never seen before; returns its refresh token."""
    body = {"email": person.me.email, "password": PASSWORD, "device": "android", "installation": "phone-0001"}
    answer = await server.request("POST", "/auth/signin/", None, body)
    return str(answer.json["refresh_token"])


async def test_a_token_never_reaches_the_log(server: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, _, path = await scene(server)
    lines = io.StringIO()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(lines), cache_logger_on_first_use=False)

    async def crash(*asked: Any) -> Any:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("server.links.routes.load_readers", crash)
    try:
        answer = await server.request("GET", path)
    finally:
        structlog.reset_defaults()

    assert answer.status == 500
    assert "/links/…" in lines.getvalue()
    assert path.rpartition("/")[2] not in lines.getvalue()
    assert path.startswith(SECRET_PATHS)


async def test_an_outage_shows_a_page_and_changes_nothing(server: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    _, customer, booking_id, path = await scene(server)

    async def away(*asked: Any) -> Any:
        raise OSError("away")

    with monkeypatch.context() as patch:
        patch.setattr("server.links.routes.load_readers", away)
        answer = await press(path, server)

    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert await status_of(customer, booking_id) == "CONFIRMED"
