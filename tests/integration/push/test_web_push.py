"""The Web Push adapter against a push service: encryption, signature, outcomes."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from protocol.booking.commands import PayBooking
from protocol.delivery.channels import Channel
from protocol.ids import DeliveryId, DeviceId, NotificationId
from protocol.notification.types import Importance
from server.app.config import Config
from server.delivery.adapters import Gone, Outcome, Refused, Sent, Suppressed, TryLater
from server.delivery.channels.push.composer import BODY_BYTES, TITLE_BYTES, TTL_MAX_S, Push
from server.delivery.channels.push.services import SERVICES_MAX, Services
from server.delivery.channels.push.vapid import NO_CONTACT, VapidKey, load_vapid
from server.delivery.channels.push.web_push import WebPush, encrypted, topic_of
from server.delivery.config import PushConfig
from server.delivery.public_client import PublicResolver
from server.delivery.worker import DeliveryWorker
from server.edge.breaker import FAILURES_MAX, PAUSE_FIRST_S
from server.edge.config import ServerConfig
from server.edge.secret_file import UnusableKey
from storage.database import Pool
from storage.deliveries import Leased
from storage.queries.device import DeviceAddress
from tests.support.deliveries import delivery, queue
from tests.support.faults import until
from tests.support.server import make_config, open_site
from tests.support.smtp import mail_server
from tests.support.web_push import Browser, PushService, encoded, open_push_service

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
ENTITY = "booking/01890000-0000-7000-8000-0000000000c0"


def push(device_id: DeviceId, **said: Any) -> Push:
    fields = {
        "id": DeliveryId(uuid4()),
        "device_id": device_id,
        "notification_id": NotificationId(uuid4()),
        "type": "booking.paid",
        "title": "Neue Buchung",
        "body": "Am Freitag um 9 Uhr: Fahrrad prüfen.",
        "entity": ENTITY,
        "collapse_key": ENTITY,
        "badge": 3,
        **said,
    }
    return Push(**fields)


def load_key(config: Config) -> VapidKey:
    """The key of an installation."""
    return load_vapid(config.server, config.push)


class Sender:
    """The adapter, and the devices that it finds."""

    def __init__(self, tmp_path: Path, *, private: bool = True, timeout_s: float = 5.0, **options: Any) -> None:
        self.key = load_key(make_config(tmp_path, push=PushConfig(vapid_subject="mailto:ops@guild.test")))
        self.addresses: dict[DeviceId, DeviceAddress] = {}
        self.adapter = WebPush(
            lambda: self.key, self._find, lambda: NOW, private=private, timeout_s=timeout_s, **options
        )

    async def _find(self, ids: Sequence[DeviceId]) -> Mapping[DeviceId, DeviceAddress]:
        return {id: self.addresses[id] for id in ids if id in self.addresses}

    def device(self, endpoint: str, keys: Mapping[str, str]) -> DeviceId:
        id = DeviceId(uuid4())
        self.addresses[id] = DeviceAddress(device_id=id, address=endpoint, **keys)
        return id

    async def send(self, browser: Browser, **said: Any) -> Outcome:
        (outcome,) = await self.adapter.send([push(self.device(browser.endpoint, browser.keys), **said)])
        return outcome


@asynccontextmanager
async def sending(tmp_path: Path, **options: Any) -> AsyncIterator[tuple[Sender, PushService]]:
    async with open_push_service() as service:
        sender = Sender(tmp_path, **options)
        try:
            yield sender, service
        finally:
            await sender.adapter.close()


async def test_a_push_is_encrypted_for_the_browser_and_signed(tmp_path: Path) -> None:
    async with sending(tmp_path) as (sender, service):
        browser = service.browser()

        assert (
            await sender.send(browser, expires_at=NOW + timedelta(minutes=5), importance=Importance.CRITICAL) == Sent()
        )

        (received,) = browser.received
        assert b"Fahrrad" not in received.body
        assert browser.read() == {
            "title": "Neue Buchung",
            "body": "Am Freitag um 9 Uhr: Fahrrad prüfen.",
            "tag": ENTITY,
            "badge": 3,
            "silent": False,
            "notification_id": browser.read()["notification_id"],
            "type": "booking.paid",
            "entity": ENTITY,
        }
        claims, key = browser.signed()
        assert (claims["aud"], claims["sub"]) == (service.url, "mailto:ops@guild.test")
        assert key == sender.key.public_key
        said = received.headers
        assert (said["TTL"], said["Urgency"], said["Content-Encoding"]) == ("300", "high", "aes128gcm")
        assert said["Topic"] == topic_of(ENTITY)
        assert "booking" not in said["Topic"]


@pytest.mark.parametrize(
    ("answer", "headers", "outcome"),
    [
        (200, {}, Sent()),
        (201, {}, Sent()),
        (202, {}, Sent()),
        (404, {}, Gone("http_404")),
        (410, {}, Gone("http_410")),
        (400, {}, Refused("http_400")),
        (403, {}, Refused("http_403")),
        (413, {}, Refused("http_413")),
        (301, {"Location": "http://127.0.0.1:1/"}, Refused("http_301")),
        (307, {"Location": "http://127.0.0.1:1/"}, Refused("http_307")),
        (429, {"Retry-After": "120"}, TryLater("http_429", 120.0, recipient_specific=True)),
        (429, {}, TryLater("http_429", recipient_specific=True)),
        (500, {}, TryLater("http_500", recipient_specific=True)),
        (503, {"Retry-After": "7"}, TryLater("http_503", 7.0, recipient_specific=True)),
        ("malformed", {}, TryLater("malformed", unknown=True, recipient_specific=True)),
        ("cut", {}, TryLater("cut", unknown=True, recipient_specific=True)),
    ],
)
async def test_each_response_has_its_outcome(
    tmp_path: Path, answer: int | str, headers: dict[str, str], outcome: Outcome
) -> None:
    async with sending(tmp_path) as (sender, service):
        browser = service.browser()
        browser.answer, browser.answer_headers = answer, headers

        assert await sender.send(browser) == outcome
        assert len(browser.received) == 1


async def test_a_slow_service_has_an_unknown_outcome_and_delays_no_other(tmp_path: Path) -> None:
    async with sending(tmp_path, timeout_s=2.0) as (sender, service):
        slow, quick = service.browser(), service.browser()
        slow.answer = "slow"
        messages = [push(sender.device(one.endpoint, one.keys)) for one in (slow, quick)]

        assert await sender.adapter.send(messages) == [
            TryLater("timeout", unknown=True, recipient_specific=True),
            Sent(),
        ]


async def test_an_untrusted_certificate_does_not_forget_the_device(tmp_path: Path) -> None:
    async with mail_server("tls", tmp_path) as stranger, sending(tmp_path) as (sender, _):
        browser = Browser(f"https://127.0.0.1:{stranger.config.port}/push/abc")

        assert await sender.send(browser) == TryLater("tls", recipient_specific=True)


async def test_an_impossible_host_name_forgets_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.delivery.channels.push.web_push.endpoint_problem", lambda url, private: None)
    async with sending(tmp_path) as (sender, _):
        assert await sender.send(Browser("https://push..example/abc")) == Gone("not_a_url")


async def test_an_endpoint_that_cannot_be_signed_forgets_the_device(tmp_path: Path) -> None:
    async with sending(tmp_path) as (sender, _):
        assert await sender.send(Browser("http://[::1]:1/push/abc")) == Gone("not_signable")


async def test_a_crash_affects_its_own_message_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with sending(tmp_path) as (sender, service):
        browsers = [service.browser() for _ in range(3)]
        messages = [push(sender.device(one.endpoint, one.keys)) for one in browsers]

        def crash(message: Push, to: DeviceAddress) -> bytes:
            if message is messages[1]:
                raise ZeroDivisionError
            return encrypted(message, to)

        monkeypatch.setattr("server.delivery.channels.push.web_push.encrypted", crash)

        crashed = TryLater("internal", unknown=True)
        assert await sender.adapter.send(messages) == [Sent(), crashed, Sent()]


async def test_a_failing_push_service_delays_no_other(pool: Pool, tmp_path: Path) -> None:
    async with sending(tmp_path) as (sender, theirs), open_push_service() as another:
        bad, good = theirs.browser(), another.browser()
        bad.answer, bad.answer_headers = 503, {"Retry-After": "3600"}
        to_bad, to_good = [sender.device(one.endpoint, one.keys) for one in (bad, good)]

        async def compose(deliveries: Sequence[Leased]) -> dict[DeliveryId, Push]:
            return {one.id: push(one.device_id, id=one.id) for one in deliveries if one.device_id is not None}

        worker = DeliveryWorker(sender.adapter, compose, pool, lambda: datetime.now(UTC))
        worker.start()
        try:
            for nth in range(FAILURES_MAX):
                await queue(pool, delivery(channel=Channel.WEB_PUSH, device_id=to_bad))
                worker.wake()
                await until(partial(settled, pool, nth + 1))
            last = delivery(channel=Channel.WEB_PUSH, device_id=to_good)
            await queue(pool, last)
            worker.wake()
            await until(partial(received, good, 1))
        finally:
            await worker.stop()

    assert worker.breaker.wait_s == 0.0
    assert len(bad.received) == 1, "it has asked for a pause, and gets it"


async def settled(pool: Pool, count: int) -> bool:
    return bool(await pool.fetchval("SELECT count(*) = $1 FROM deliveries WHERE reason IS NOT NULL", count))


async def test_a_failing_push_service_is_paused_and_then_probed_with_one_message(
    tmp_path: Path,
) -> None:
    moved = [0.0]
    async with sending(tmp_path, monotonic=lambda: moved[0]) as (sender, service):
        bad = service.browser()
        bad.answer = 500
        for _ in range(FAILURES_MAX):
            assert await sender.send(bad) == TryLater("http_500", recipient_specific=True)

        assert await sender.send(bad) == TryLater("service_down", PAUSE_FIRST_S, recipient_specific=True)
        moved[0] = PAUSE_FIRST_S
        bad.answer = 201
        messages = [push(sender.device(bad.endpoint, bad.keys)) for _ in range(3)]
        probed = await sender.adapter.send(messages)

        waits = TryLater("service_down", PAUSE_FIRST_S, recipient_specific=True)
        assert probed == [Sent(), waits, waits]
        assert await sender.send(bad) == Sent()


def test_breakers_of_services_are_bounded() -> None:
    services = Services(lambda: 0.0)

    for number in range(SERVICES_MAX + 10):
        services._breaker_of(f"push{number}.example")

    assert len(services._breakers) == SERVICES_MAX


async def received(browser: Browser, count: int) -> bool:
    return len(browser.received) >= count


async def test_a_refused_connection_to_a_service_sent_nothing(tmp_path: Path) -> None:
    async with sending(tmp_path) as (sender, _):
        unreachable = Browser("http://127.0.0.1:1/push/abc")

        assert await sender.send(unreachable) == TryLater("unreachable", recipient_specific=True)


async def test_a_forgotten_device_gets_nothing_and_bad_keys_are_forgotten(tmp_path: Path) -> None:
    async with sending(tmp_path) as (sender, service):
        useless = sender.device(service.browser().endpoint, {"p256dh": "BAAA", "auth": "AAAA"})

        assert await sender.adapter.send([push(DeviceId(uuid4())), push(useless)]) == [
            Suppressed("device_forgotten"),
            Gone("bad_keys"),
        ]


async def test_a_key_off_the_curve_is_forgotten(tmp_path: Path) -> None:
    async with sending(tmp_path) as (sender, service):
        browser = service.browser()
        off = sender.device(browser.endpoint, {**browser.keys, "p256dh": encoded(b"\x04" + bytes(64))})

        assert await sender.adapter.send([push(off)]) == [Gone("bad_keys")]


async def test_while_the_database_is_down_nothing_is_sent(tmp_path: Path) -> None:
    async def away(ids: Sequence[DeviceId]) -> Mapping[DeviceId, DeviceAddress]:
        raise ConnectionRefusedError

    async with sending(tmp_path) as (sender, _):
        adapter = WebPush(lambda: sender.key, away, lambda: NOW, private=True)
        assert await adapter.send([push(DeviceId(uuid4()))] * 2) == [TryLater("database")] * 2


async def test_private_addresses_are_refused_as_addresses_and_as_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.delivery.channels.push.web_push.endpoint_problem", lambda url, private: None)
    async with sending(tmp_path, private=False) as (sender, service):
        browser = service.browser()
        named = Browser(browser.endpoint.replace("127.0.0.1", "localhost"), _key=browser._key, _secret=browser._secret)
        assert await sender.send(named) == Refused("private_address")
    monkeypatch.undo()
    async with sending(tmp_path, private=False) as (sender, service):
        browser = service.browser()
        assert await sender.send(browser) == Refused("not_https")
        assert await sender.send(Browser("https://127.0.0.1/push")) == Refused("private_address")
        assert browser.received == []


async def test_the_resolver_returns_no_private_address() -> None:
    with pytest.raises(OSError, match="no public address"):
        await PublicResolver().resolve("localhost", 443)


async def test_the_longest_message_fits_whatever_is_in_it(tmp_path: Path) -> None:
    async with sending(tmp_path) as (sender, service):
        browser = service.browser()

        await sender.send(browser, title="x" * TITLE_BYTES, body="ü" * (BODY_BYTES // 2), expires_at=None)

        assert len(browser.received[0].body) <= 4096
        assert browser.received[0].headers["TTL"] == str(TTL_MAX_S)


async def test_a_booking_s_events_reach_the_browsers_of_its_parties(database_dsn: str, tmp_path: Path) -> None:
    config = make_config(tmp_path, push=PushConfig(private_endpoints=True))
    async with open_push_service() as service, open_site(database_dsn, config) as site:
        market = await site.market()
        customer = await site.person("Carla Customer")
        here, gone = service.browser(), service.browser()
        gone.answer = 410
        for browser in (here, gone):
            body = {"platform": "web", "subscription": browser.subscription}
            assert (await site.request("POST", "/devices/", market.owner, body)).status == 200
        booking_id = await site.booked(market, customer)

        await site.captured(await customer.call(PayBooking(booking_id=booking_id)))

        async def pushed() -> bool:
            # Routing follows the commit, and the push is due half a minute later.
            await site.advance(timedelta(seconds=31))
            return bool(here.received and gone.received)

        await until(pushed)
        message = here.read()
        assert (message["title"], message["entity"]) == ("New booking", f"booking/{booking_id}")
        assert message["badge"] == (await site.request("GET", "/notifications/", market.owner)).json["unread_count"]
        key = (await site.request("GET", "/push/vapid-key")).json["public_key"]
        assert here.signed()[1] == key

        async def forgotten() -> bool:
            return bool(await site.node.pool.fetchval("SELECT count(*) = 1 FROM devices"))

        await until(forgotten)
        await site.at_rest()
        await site.prove()


async def test_the_key_is_created_once_readable_by_its_owner_only(tmp_path: Path) -> None:
    config = make_config(tmp_path)

    first, second = await asyncio.gather(*[asyncio.to_thread(load_key, config) for _ in range(2)])

    assert first.public_key == second.public_key
    (path,) = (tmp_path / "keys").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("subject", ["mailto:ops", "https://guild.example/contact"])
def test_an_unusable_operator_contact_is_refused_at_start(tmp_path: Path, subject: str) -> None:
    with pytest.raises(UnusableKey, match=r"push\.vapid_subject"):
        load_key(make_config(tmp_path, push=PushConfig(vapid_subject=subject)))


def test_a_server_without_a_public_name_has_the_default_contact(tmp_path: Path) -> None:
    at = ServerConfig(data_dir=str(tmp_path), public_url="https://guild/")

    assert load_key(make_config(tmp_path, server=at)).subject == NO_CONTACT


async def test_the_operator_s_contact_is_sent_to_push_services(tmp_path: Path) -> None:
    at = {"server": ServerConfig(data_dir=str(tmp_path), public_url="https://guild.example/")}
    async with sending(tmp_path) as (_, service):
        browser = service.browser()
        sender = Sender(tmp_path)
        sender.key = load_key(make_config(tmp_path, **at))
        await sender.send(browser)
        await sender.adapter.close()

    assert browser.signed()[0]["sub"] == "https://guild.example"
    assert "https://guild.example" in await sender.adapter.check()
