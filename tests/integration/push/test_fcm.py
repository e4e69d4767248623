"""FCM by Google's library over HTTP: each message has its own outcome, and no token is fetched in the event loop."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from google.oauth2 import service_account

from protocol.booking.commands import PayBooking
from protocol.ids import DeliveryId, DeviceId, NotificationId
from protocol.notification.types import Importance
from server.delivery.adapters import Gone, Outcome, Refused, Sent, Suppressed, TryLater
from server.delivery.channels.push.composer import TTL_MAX_S, Push
from server.delivery.channels.push.fcm import QUOTA_WAIT_S, Fcm
from server.delivery.config import PushConfig
from server.edge.adapter_error import AdapterError
from storage.queries.device import DeviceAddress
from tests.support.faults import until
from tests.support.fcm import PROJECT, Google, open_google, write_account
from tests.support.h2_fcm import STREAMS_MAX, open_google2
from tests.support.server import make_config, open_site

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
ENTITY = "conversation/01890000-0000-7000-8000-0000000000c0"


def push(device_id: DeviceId, **said: Any) -> Push:
    fields = {
        "id": DeliveryId(uuid4()),
        "device_id": device_id,
        "notification_id": NotificationId(uuid4()),
        "type": "message.posted",
        "title": "Grüße",
        "body": "Ada hat Ihnen geschrieben.",
        "entity": ENTITY,
        "collapse_key": ENTITY,
        "badge": 3,
        **said,
    }
    return Push(**fields)


class Sender:
    """The adapter, and the phones that it finds."""

    def __init__(self, credentials: Path, **options: Any) -> None:
        self.addresses: dict[DeviceId, DeviceAddress] = {}
        self.adapter = Fcm(credentials, self._find, lambda: NOW, **options)

    async def _find(self, ids: Sequence[DeviceId]) -> Mapping[DeviceId, DeviceAddress]:
        return {id: self.addresses[id] for id in ids if id in self.addresses}

    def device(self, token: str) -> DeviceId:
        id = DeviceId(uuid4())
        self.addresses[id] = DeviceAddress(device_id=id, address=token, p256dh=None, auth=None)
        return id

    async def send(self, *tokens: str, **said: Any) -> Sequence[Outcome]:
        return await self.adapter.send([push(self.device(token), **said) for token in tokens])


@asynccontextmanager
async def sending(tmp_path: Path, **options: Any) -> AsyncIterator[tuple[Sender, Google]]:
    async with open_google() as google:
        sender = Sender(write_account(tmp_path / "account.json", google.url), **options)
        try:
            yield sender, google
        finally:
            await sender.adapter.close()


async def test_a_phone_gets_text_data_badge_and_ttl(tmp_path: Path) -> None:
    async with sending(tmp_path) as (sender, google):
        soon = NOW + timedelta(minutes=5)
        assert await sender.send("phone", expires_at=soon, importance=Importance.CRITICAL) == [Sent("1")]

    (message,) = google.to("phone")
    assert message["notification"] == {"title": "Grüße", "body": "Ada hat Ihnen geschrieben."}
    assert set(message["data"]) == {"notification_id", "type", "entity"}
    assert (message["data"]["entity"], message["data"]["type"]) == (ENTITY, "message.posted")
    android, apns = message["android"], message["apns"]
    assert (android["collapse_key"], android["priority"], android["ttl"]) == (ENTITY, "high", "300s")
    assert android["notification"] == {"tag": ENTITY, "sound": "default", "notification_count": 3}
    assert (apns["headers"]["apns-collapse-id"], apns["headers"]["apns-priority"]) == (ENTITY, "10")
    assert abs(int(apns["headers"]["apns-expiration"]) - datetime.now(UTC).timestamp() - 300) < 30
    assert apns["payload"]["aps"] == {"badge": 3, "sound": "default", "thread-id": ENTITY}
    assert "validate_only" not in google.received[0]


async def test_installation_ids_and_registration_tokens_both_work(tmp_path: Path) -> None:
    installation = "cRQ-7zvKQbGm1AA_0jXZpL"
    async with sending(tmp_path) as (sender, google):
        await sender.send(installation, f"{installation}:APA91bH")

    assert [one["message"].get("fid") for one in google.received] == [installation, None]
    assert [one["message"].get("token") for one in google.received] == [None, f"{installation}:APA91bH"]


async def test_an_ordinary_push_is_silent(tmp_path: Path) -> None:
    async with sending(tmp_path) as (sender, google):
        await sender.send("phone", importance=Importance.ORDINARY)

    (message,) = google.to("phone")
    assert (message["android"]["priority"], message["android"]["ttl"]) == ("normal", f"{TTL_MAX_S}s")
    assert "sound" not in message["android"]["notification"]
    assert message["apns"]["headers"]["apns-priority"] == "5"
    assert "sound" not in message["apns"]["payload"]["aps"]


@pytest.mark.parametrize(
    ("answer", "headers", "outcome"),
    [
        ("UNREGISTERED", {}, Gone("unregistered")),
        ("SENDER_ID_MISMATCH", {}, Gone("sender_id_mismatch")),
        ("INVALID_ARGUMENT", {}, Refused("invalid_argument")),
        ("QUOTA_EXCEEDED", {"Retry-After": "120"}, TryLater("quota_exceeded", 120.0)),
        ("QUOTA_EXCEEDED", {}, TryLater("quota_exceeded", QUOTA_WAIT_S)),
        ("UNAVAILABLE", {"Retry-After": "7"}, TryLater("http_503", 7.0)),
        ("INTERNAL", {}, TryLater("http_500")),
        ("PERMISSION_DENIED", {}, TryLater("permission_denied")),
        ("cut", {}, TryLater("cut", unknown=True)),
        ("malformed", {}, TryLater("cut", unknown=True)),
        ("not_json", {}, TryLater("malformed", unknown=True)),
        ("nameless", {}, TryLater("malformed", unknown=True)),
        ("odd_error", {}, TryLater("malformed", unknown=True)),
    ],
)
async def test_each_response_has_its_outcome_and_is_requested_once(
    tmp_path: Path, answer: str, headers: dict[str, str], outcome: Outcome
) -> None:
    async with sending(tmp_path) as (sender, google):
        google.answers, google.headers = {"phone": answer}, headers

        assert await sender.send("phone") == [outcome]
        assert len(google.received) == 1


async def test_each_message_of_a_batch_has_its_own_outcome(tmp_path: Path) -> None:
    async with sending(tmp_path, response_timeout_s=3.0) as (sender, google):
        google.answers = {"2": "UNREGISTERED", "3": "not_json", "4": "slow", "5": "INTERNAL", "6": "cut"}

        outcomes = await sender.send(*map(str, range(8)))

        assert [type(one) for one in outcomes] == [Sent, Sent, Gone, TryLater, TryLater, TryLater, TryLater, Sent]
        assert outcomes[4] == TryLater("timeout", unknown=True)
        assert sorted(one["message"]["token"] for one in google.received) == list(map(str, range(8)))


async def test_a_full_batch_takes_one_access_token(tmp_path: Path) -> None:
    async with sending(tmp_path) as (sender, google):
        outcomes = await sender.send(*[f"phone-{number}" for number in range(sender.adapter.batch_max)])

        assert {repr(one) for one in outcomes if not isinstance(one, Sent)} == set()
        assert len({one["message"]["token"] for one in google.received}) == sender.adapter.batch_max
        assert len(google.tokens) == 1


async def test_a_forgotten_device_gets_nothing(tmp_path: Path) -> None:
    async with sending(tmp_path) as (sender, google):
        assert await sender.adapter.send([push(DeviceId(uuid4()))]) == [Suppressed("device_forgotten")]
        assert google.received == []


async def test_access_tokens_are_fetched_in_a_thread_and_reused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    refresh: Callable[[service_account.Credentials, object], None] = service_account.Credentials.refresh

    def noted(self: service_account.Credentials, request: object) -> None:
        threads.append(threading.current_thread())
        refresh(self, request)

    monkeypatch.setattr(service_account.Credentials, "refresh", noted)
    async with sending(tmp_path) as (sender, google):
        await asyncio.gather(sender.send("1"), sender.send("2"))
        await sender.send("3")

        assert (len(threads), len(google.tokens), len(google.received)) == (1, 1, 3)
        assert threads[0] is not threading.main_thread()


async def test_a_token_that_expires_soon_is_renewed(tmp_path: Path) -> None:
    async with sending(tmp_path) as (sender, google):
        google.token_lasts_s = 60
        await sender.send("1")
        await sender.send("2")

    assert len(google.tokens) == 2


async def test_a_refused_token_is_renewed(tmp_path: Path) -> None:
    async with sending(tmp_path) as (sender, google):
        await sender.send("1")
        google.valid_tokens.clear()

        assert await sender.send("2") == [TryLater("unauthenticated")]
        assert await sender.send("2") == [Sent("2")]


@pytest.mark.parametrize(
    ("answer", "reason"), [(400, "token_refused"), (403, "token_refused"), ("malformed", "token_malformed")]
)
async def test_without_an_access_token_nothing_is_sent(tmp_path: Path, answer: int | str, reason: str) -> None:
    async with sending(tmp_path) as (sender, google):
        google.token_answer = answer

        assert await sender.send("1", "2") == [TryLater(reason), TryLater(reason)]
        assert google.received == []


async def test_a_timeout_of_the_access_token_sends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.delivery.channels.push.fcm.TOKEN_TIMEOUT_S", 0.2)
    async with sending(tmp_path) as (sender, google):
        google.token_answer = "slow"

        assert await sender.send("1") in ([TryLater("token_timeout")], [TryLater("token_unreachable")])
        google.released.set()
        assert google.received == []


async def test_while_the_database_is_down_nothing_is_sent(tmp_path: Path) -> None:
    async def away(ids: Sequence[DeviceId]) -> Mapping[DeviceId, DeviceAddress]:
        raise ConnectionRefusedError

    async with open_google() as google:
        adapter = Fcm(write_account(tmp_path / "account.json", google.url), away, lambda: NOW)
        assert await adapter.send([push(DeviceId(uuid4()))] * 2) == [TryLater("database")] * 2
        await adapter.close()


async def test_a_refused_connection_to_google_sent_nothing(tmp_path: Path) -> None:
    async with sending(tmp_path) as (sender, google):
        await sender.send("1")
        away = Sender(write_account(tmp_path / "away.json", "http://127.0.0.1:1"))
        assert await away.send("2") == [TryLater("token_unreachable")]
        await away.adapter.close()
    async with open_google() as google:
        gone = Sender(write_account(tmp_path / "gone.json", google.url))
        await gone.send("1")
    # The port is closed, and the token is still valid.
    assert await gone.send("2") in ([TryLater("unreachable")], [TryLater("cut", unknown=True)])
    assert await gone.send("2") == [TryLater("unreachable")]
    await gone.adapter.close()


async def test_check_sends_a_dry_run(tmp_path: Path) -> None:
    async with sending(tmp_path) as (sender, google):
        assert PROJECT in await sender.adapter.check()
        (asked,) = google.received
        assert asked["validate_only"] is True
        assert "token" not in asked["message"]

        google.valid_tokens.clear()
        google.token_answer = 400
        with pytest.raises(AdapterError, match="unauthenticated"):
            await sender.adapter.check()


@pytest.mark.parametrize("content", [None, "", "{}", '{"type": "service_account"}', "[]"])
def test_malformed_credentials_are_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "account.json"
    if content is not None:
        path.write_text(content)

    with pytest.raises(AdapterError, match=r"push\.fcm_credentials: .*account\.json"):
        Sender(path)


def test_an_account_without_a_project_is_refused(tmp_path: Path) -> None:
    path = write_account(tmp_path / "account.json", "http://127.0.0.1:1", project_id=None)

    with pytest.raises(AdapterError, match="project_id"):
        Sender(path)
    assert "private_key" in json.loads(path.read_text())


async def test_a_booking_s_events_reach_phones_and_dead_devices_are_forgotten(
    database_dsn: str, tmp_path: Path
) -> None:
    async with open_google() as google:
        account = write_account(tmp_path / "account.json", google.url)
        config = make_config(tmp_path, push=PushConfig(fcm_credentials=str(account)))
        google.answers = {"telephone-that-is-gone": "UNREGISTERED"}
        async with open_site(database_dsn, config) as site:
            market = await site.market()
            customer = await site.person("Carla Customer")
            for token in ("telephone-that-works", "telephone-that-is-gone"):
                body = {"platform": "fcm", "token": token}
                assert (await site.request("POST", "/devices/", market.owner, body)).status == 200
            booking_id = await site.booked(market, customer)

            await site.captured(await customer.call(PayBooking(booking_id=booking_id)))

            async def pushed() -> bool:
                # Routing follows the commit, and the push is due half a minute later.
                await site.advance(timedelta(seconds=31))
                return len(google.received) == 2

            await until(pushed)
            (message,) = google.to("telephone-that-works")
            assert message["notification"]["title"] == "New booking"
            assert message["data"]["entity"] == f"booking/{booking_id}"

            async def forgotten() -> bool:
                return bool(await site.node.pool.fetchval("SELECT count(*) = 1 FROM devices"))

            await until(forgotten)
            await site.at_rest()
            await site.prove()


async def test_a_batch_shares_one_http2_connection(tmp_path: Path) -> None:
    async with open_google() as accounts, open_google2(tmp_path) as google:
        sender = Sender(write_account(tmp_path / "account.json", accounts.url))
        outcomes = await sender.send(*[f"phone-{number}" for number in range(40)])
        await sender.adapter.close()

    assert {type(one) for one in outcomes} == {Sent}
    assert len({one["message"]["token"] for one in google.received}) == 40
    assert google.connections == 1
    assert 1 < google.streams <= STREAMS_MAX


async def test_messages_answered_before_the_connection_broke_are_sent_and_the_rest_retried(
    tmp_path: Path,
) -> None:
    async with open_google() as accounts, open_google2(tmp_path) as google:
        google.cut_after = 20
        sender = Sender(write_account(tmp_path / "account.json", accounts.url))
        outcomes = await sender.send(*[f"phone-{number}" for number in range(40)])
        again = await sender.send("phone-40")
        await sender.adapter.close()

    # Other messages on the connection may have been accepted.
    lost = [one for one in outcomes if not isinstance(one, Sent)]
    assert lost == [TryLater("cut", unknown=True)] * len(lost)
    assert 20 <= len(lost) < 40
    assert [type(one) for one in again] == [Sent]


async def test_an_untrusted_certificate_gets_nothing(tmp_path: Path) -> None:
    async with open_google() as accounts, open_google2(tmp_path) as google:
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("SSL_CERT_FILE")
            sender = Sender(write_account(tmp_path / "account.json", accounts.url))
            outcomes = await sender.send("phone")
            await sender.adapter.close()

    assert (outcomes, google.received) == ([TryLater("unreachable")], [])
