"""The Twilio adapter against a server with its API: outcomes, signed callbacks, opt-out."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import socket
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import msgspec
import pytest
from structlog.testing import capture_logs

from protocol.code.terms import CODE_PAUSE_S, CODE_VALID_S
from protocol.delivery.channels import Channel
from protocol.delivery.rows import Delivery
from protocol.ids import DeliveryId
from protocol.user.views import CurrentUser
from server.delivery.adapters import Gone, Outcome, Refused, Sent, TryLater
from server.delivery.channels.sms.composer import Sms
from server.delivery.channels.sms.twilio import Twilio
from server.delivery.channels.sms.webhooks import FIELDS_MAX, WEBHOOK_BYTES_MAX
from server.delivery.config import SmsConfig
from server.edge.adapter_error import AdapterError
from server.edge.config import ServerConfig
from storage.database import Pool
from storage.deliveries import routing_round
from storage.queries.recipient import load_readers
from storage.short_messages import load_opted_out, record_reply
from tests.support.faults import until
from tests.support.server import Person, Site, make_config, open_site
from tests.support.twilio import (
    ACCOUNT,
    CUT,
    MALFORMED,
    NOT_HTTP,
    NUMBER,
    SLOW,
    TwilioService,
    open_twilio,
    signed,
)

PUBLIC_URL = "https://guild.example"
TO = "+4915112345678"
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
UNKNOWN = UUID(int=4711)


@pytest.fixture
async def twilio() -> AsyncIterator[TwilioService]:
    async with open_twilio() as service:
        yield service


@asynccontextmanager
async def adapter(config: SmsConfig, channel: Channel = Channel.SMS, **said: Any) -> AsyncIterator[Twilio]:
    adapter = Twilio(config, channel, lambda: NOW, **said)
    try:
        yield adapter
    finally:
        await adapter.close()


def sms(**said: Any) -> Sms:
    return Sms(**{"id": DeliveryId(uuid4()), "to": TO, "text": "Grüße", **said})


async def sent_one(config: SmsConfig, message: Sms | None = None, **said: Any) -> Outcome:
    async with adapter(config, **said) as one:
        (outcome,) = await one.send([message or sms()])
    return outcome


class TestSending:
    async def test_a_message_is_sent_and_has_twilio_s_id(self, twilio: TwilioService) -> None:
        message = sms(expires_at=NOW + timedelta(seconds=600))

        outcome = await sent_one(twilio.config, message, public_url=PUBLIC_URL)

        assert outcome == Sent(f"SM{1:032}")
        assert twilio.sent == [
            {
                "To": TO,
                "From": NUMBER,
                "Body": "Grüße",
                "StatusCallback": f"{PUBLIC_URL}/webhooks/twilio/status?delivery={message.id}",
                "ValidityPeriod": "600",
            }
        ]

    async def test_a_messaging_service_sends_if_there_is_one(self, twilio: TwilioService) -> None:
        service = "MG" + "a" * 32

        await sent_one(msgspec.structs.replace(twilio.config, messaging_service_sid=service))

        assert twilio.sent == [{"To": TO, "MessagingServiceSid": service, "Body": "Grüße"}]

    async def test_whatsapp_uses_its_addresses_and_an_approved_template(self, twilio: TwilioService) -> None:
        config = msgspec.structs.replace(twilio.config, whatsapp_from="+4930222222")
        template = msgspec.structs.replace(config, whatsapp_content_sid="HX" + "b" * 32)

        await sent_one(config, channel=Channel.WHATSAPP)
        await sent_one(template, sms(text="two\nlines"), channel=Channel.WHATSAPP)

        plain, approved = twilio.sent
        assert plain == {"To": f"whatsapp:{TO}", "From": "whatsapp:+4930222222", "Body": "Grüße"}
        assert (approved["ContentSid"], approved["ContentVariables"]) == ("HX" + "b" * 32, '{"1": "two lines"}')
        assert "Body" not in approved

    @pytest.mark.parametrize(
        ("answer", "outcome"),
        [
            ((400, 21211), Gone("twilio_21211")),
            ((400, 21614), Gone("twilio_21614")),
            ((400, 21610), Gone("stopped")),
            ((400, 21612), Refused("twilio_21612")),
            ((400, 30034), Refused("twilio_30034")),
            ((401, 20003), TryLater("twilio_20003")),
            ((429, 20429), TryLater("http_429", 17.0)),
            (429, TryLater("http_429", 17.0)),
            (500, TryLater("http_500", 17.0)),
            (503, TryLater("http_503", 17.0)),
            (404, Refused("twilio_404")),
            (CUT, TryLater("cut", unknown=True)),
            (NOT_HTTP, TryLater("malformed", unknown=True)),
            (MALFORMED, TryLater("malformed", unknown=True)),
        ],
        ids=str,
    )
    async def test_the_outcome_of_each_response(self, twilio: TwilioService, answer: Any, outcome: Outcome) -> None:
        twilio.answers, twilio.retry_after = [answer], "17"

        assert await sent_one(twilio.config) == outcome

    async def test_a_missing_response_is_an_unknown_outcome(self, twilio: TwilioService) -> None:
        twilio.answers = [SLOW]

        assert await sent_one(twilio.config, timeout_s=0.2) == TryLater("timeout", unknown=True)
        assert len(twilio.sent) == 1

    async def test_a_refused_connection_sent_nothing(self) -> None:
        config = SmsConfig(
            account_sid=ACCOUNT, auth_token="t", from_number=NUMBER, base_url=f"http://127.0.0.1:{free_port()}"
        )

        assert await sent_one(config) == TryLater("unreachable")

    async def test_a_number_unsubscribed_at_twilio_is_recorded(self, twilio: TwilioService) -> None:
        twilio.answers = [(400, 21610)]
        stopped: list[str] = []

        async def note(number: str) -> None:
            stopped.append(number)

        await sent_one(twilio.config, opted_out=note)

        assert stopped == [TO]

    async def test_neither_number_text_nor_token_is_logged_or_returned(
        self, twilio: TwilioService, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        with capture_logs() as logs:
            outcomes = []
            for answer in (None, (400, 21211), 500, CUT, MALFORMED):
                twilio.answers = [answer]
                outcomes.append(await sent_one(twilio.config, sms(text="471100 is the code")))

        seen = repr(outcomes) + repr(sms()) + str(logs) + caplog.text
        assert [secret for secret in (TO, TO[1:], "471100", "the token", NUMBER) if secret in seen] == []


class TestCheck:
    async def test_a_working_account_passes(self, twilio: TwilioService) -> None:
        async with adapter(twilio.config, public_url=PUBLIC_URL) as one:
            assert await one.check() == "Twilio, account …0001, with status callbacks"

    async def test_a_wrong_token_and_a_suspended_account_fail(self, twilio: TwilioService) -> None:
        async with adapter(msgspec.structs.replace(twilio.config, auth_token="wrong")) as one:
            with pytest.raises(AdapterError, match=r"^Twilio: twilio_20003$"):
                await one.check()
        twilio.account_status = "suspended"
        async with adapter(twilio.config) as one:
            with pytest.raises(AdapterError, match="the account is suspended"):
                await one.check()


@dataclass(frozen=True, slots=True)
class Place:
    """A server that sends by Twilio, and the Twilio server."""

    site: Site
    twilio: TwilioService
    http: aiohttp.ClientSession

    @property
    def pool(self) -> Pool:
        return self.site.node.pool

    async def calls_back(self, path: str, fields: dict[str, str]) -> int:
        """Post a callback; returns the status."""
        body, headers = signed(self.site.url + path, fields)
        async with self.http.post(self.site.url + path, data=body, headers=headers) as answer:
            return answer.status

    async def tells(self, delivery: DeliveryId, state: str, **fields: str) -> int:
        """Post a message's state."""
        said = {"MessageSid": "SM1", "MessageStatus": state, "To": TO, "From": NUMBER, **fields}
        return await self.calls_back(f"/webhooks/twilio/status?delivery={delivery}", said)

    async def answers(self, text: str, sid: str, *, who: str = TO, **fields: str) -> int:
        """Post a reply."""
        said = {"MessageSid": sid, "From": who, "To": NUMBER, "Body": text, **fields}
        return await self.calls_back("/webhooks/twilio/inbound", said)

    async def asks_for_a_code(self, person: Person, number: str = TO) -> None:
        answer = await self.site.request("POST", "/auth/verify-phone/", person, {"phone_number": number})
        assert answer.status == 200, answer.body

    async def delivery(self, state: str) -> Any:
        """Wait until the newest SMS is in a state; returns its row."""
        newest = "SELECT * FROM deliveries WHERE channel = 'sms' ORDER BY id DESC LIMIT 1"

        async def there() -> bool:
            row = await self.pool.fetchrow(newest)
            return row is not None and row["state"] == state

        await until(there)
        return await self.pool.fetchrow(newest)


@asynccontextmanager
async def open_place(dsn: str, folder: Path, twilio: TwilioService) -> AsyncIterator[Place]:
    port = free_port()
    server = ServerConfig(port=port, data_dir=str(folder), drain_s=1, public_url=f"http://127.0.0.1:{port}")
    async with (
        open_site(dsn, make_config(folder, server=server, sms=twilio.config)) as site,
        aiohttp.ClientSession() as http,
    ):
        yield Place(site, twilio, http)


def free_port() -> int:
    """A free port."""
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
async def place(database_dsn: str, tmp_path: Path, twilio: TwilioService) -> AsyncIterator[Place]:
    async with open_place(database_dsn, tmp_path, twilio) as place:
        yield place


class TestCallbacks:
    async def test_a_code_is_sent_and_its_states_are_stored(self, place: Place) -> None:
        ada = await place.site.person("Ada")
        await place.asks_for_a_code(ada)
        one = await place.delivery("sent")
        (message,) = place.twilio.sent

        assert message["To"] == TO
        assert message["StatusCallback"] == f"{place.site.url}/webhooks/twilio/status?delivery={one['id']}"
        assert (one["secret"], one["address"]) == (None, None)
        code = message["Body"][:6]
        assert (await place.site.request("POST", "/auth/verify-phone/", ada, {"code": code})).status == 200
        assert (await ada.call(CurrentUser())).phone_number == TO

    async def test_the_furthest_state_counts_in_any_order(self, place: Place) -> None:
        ada = await place.site.person("Ada")
        await place.asks_for_a_code(ada)
        one = await place.delivery("sent")

        statuses = [
            await place.tells(one["id"], state) for state in ("sent", "delivered", "queued", "delivered", "sent")
        ]

        assert statuses == [200] * 5
        kept = await place.delivery("sent")
        assert (kept["provider_state"], kept["provider_code"]) == ("delivered", None)
        assert await place.pool.fetchval("SELECT count(*) FROM unmatched_webhooks") == 0

    async def test_the_error_code_is_stored(self, place: Place) -> None:
        ada = await place.site.person("Ada")
        await place.asks_for_a_code(ada)
        one = await place.delivery("sent")

        await place.tells(one["id"], "undelivered", ErrorCode="30003")

        kept = await place.delivery("sent")
        assert (kept["provider_state"], kept["provider_code"]) == ("undelivered", 30003)

    @pytest.mark.parametrize(
        ("delivery", "state", "problem"),
        [
            (str(UNKNOWN), "delivered", "unknown_delivery"),
            ("nonsense", "delivered", "unknown_delivery"),
            (str(UNKNOWN), "teleported", "unknown_type"),
        ],
    )
    async def test_an_unmatched_callback_is_acknowledged_and_stored_once_without_the_number(
        self, place: Place, delivery: str, state: str, problem: str
    ) -> None:
        for _ in range(2):
            assert await place.tells(DeliveryId(delivery), state) == 200  # type: ignore[arg-type]  # as an URL has it

        (kept,) = await place.pool.fetch("SELECT provider, type, problem, body FROM unmatched_webhooks")
        assert (kept["provider"], kept["type"], kept["problem"]) == ("twilio", state, problem)
        assert TO not in kept["body"]

    async def test_unsigned_callbacks_are_refused(self, place: Place) -> None:
        path = "/webhooks/twilio/inbound"
        fields = {"MessageSid": "SM1", "From": TO, "To": NUMBER, "Body": "STOP"}
        right, headers = signed(place.site.url + path, fields)
        elsewhere, of_elsewhere = signed("https://evil.example" + path, fields)
        forged, of_forger = signed(place.site.url + path, fields, "another token")
        changed = right.replace(b"5678", b"5679")
        bodies = [
            (right, {"Content-Type": headers["Content-Type"]}),
            (elsewhere, of_elsewhere),
            (forged, of_forger),
            (changed, headers),
            (b"\xff", headers),
            (b"&".join(b"a=1" for _ in range(FIELDS_MAX + 1)), headers),
        ]

        statuses = []
        for body, said in bodies:
            async with place.http.post(place.site.url + path, data=body, headers=said) as answer:
                statuses.append(answer.status)

        assert statuses == [400] * len(bodies)
        assert await place.pool.fetchval("SELECT count(*) FROM opted_out_numbers") == 0

    async def test_a_body_above_the_limit_is_refused(self, place: Place) -> None:
        body = b"a=" + b"1" * WEBHOOK_BYTES_MAX

        async with place.http.post(place.site.url + "/webhooks/twilio/inbound", data=body) as answer:
            assert answer.status == 413


class TestStop:
    async def test_stop_applies_to_codes_too_until_start(self, place: Place) -> None:
        ada = await place.site.person("Ada")

        assert await place.answers("Stopp!", "SM1") == 200
        await place.asks_for_a_code(ada)
        skipped = await place.delivery("skipped")
        assert skipped["reason"] == "stopped"
        assert (skipped["secret"], skipped["address"]) == (None, None)
        assert place.twilio.sent == []
        await place.answers("START", "SM2")
        await place.site.advance(timedelta(seconds=CODE_PAUSE_S))
        await place.asks_for_a_code(ada)

        await place.delivery("sent")
        assert len(place.twilio.sent) == 1

    async def test_a_stop_between_routing_and_sending_applies(self, place: Place) -> None:
        ada = await place.site.person("Ada")
        later = place.site.node.clock.now() + timedelta(hours=1)
        await planned(place, ada, later, address=TO)

        await place.answers("STOP", "SM1", who=f"whatsapp:{TO}")
        await place.site.advance(timedelta(hours=1))

        assert (await place.delivery("skipped"))["reason"] == "stopped"
        assert place.twilio.sent == []

    async def test_an_opted_out_number_is_routed_as_none(self, place: Place) -> None:
        ada = await place.site.person("Ada")
        await place.asks_for_a_code(ada)
        await place.delivery("sent")
        code = place.twilio.sent[0]["Body"][:6]
        await place.site.request("POST", "/auth/verify-phone/", ada, {"code": code})
        assert (await load_readers(place.pool, [ada.id], place.site.node.clock.now()))[ada.id].phone_number == TO

        await place.answers("STOP", "SM1")

        reader = (await load_readers(place.pool, [ada.id], place.site.node.clock.now()))[ada.id]
        assert (reader.phone_number, reader.opted_out) == (None, True)
        await planned(place, ada, place.site.node.clock.now())
        place.site.server.delivery.wake([Channel.SMS])
        assert (await place.delivery("skipped"))["reason"] == "stopped"

    async def test_a_repeated_reply_has_no_effect(self, place: Place) -> None:
        for text, sid in [("STOP", "SM1"), ("START", "SM2"), ("STOP", "SM1")]:
            assert await place.answers(text, sid) == 200

        assert await load_opted_out(place.pool, [TO]) == frozenset()

    async def test_another_reply_changes_nothing_and_its_text_is_not_stored(self, place: Place) -> None:
        await place.answers("Please stop by at 5", "SM1")

        assert await load_opted_out(place.pool, [TO]) == frozenset()
        (kept,) = await place.pool.fetch("SELECT i::text AS row FROM sms_replies i")
        assert "other" in kept["row"]
        assert TO not in kept["row"]

    async def test_twilio_s_own_opt_out_applies_whatever_the_word(self, place: Place) -> None:
        await place.answers("arrêt", "SM1", OptOutType="STOP")

        assert await load_opted_out(place.pool, [TO]) == {TO}

    async def test_a_number_unsubscribed_at_twilio_gets_nothing_more(self, place: Place) -> None:
        ada = await place.site.person("Ada")
        place.twilio.answers = [(400, 21610)]

        await place.asks_for_a_code(ada)

        dead = await place.delivery("dead")
        assert (dead["reason"], dead["secret"], dead["address"]) == ("stopped", None, None)
        assert await load_opted_out(place.pool, [TO]) == {TO}

    async def test_concurrent_replies_are_each_applied_once(self, pool: Pool) -> None:
        import asyncio  # only here

        await asyncio.gather(*[record_reply(pool, f"SM{n % 4}", TO, "stop", NOW) for n in range(32)])

        assert await pool.fetchval("SELECT count(*) FROM sms_replies") == 4
        assert await load_opted_out(pool, [TO]) == {TO}


class TestTrouble:
    async def test_a_code_waits_for_a_failing_provider_and_is_erased_when_it_expires(self, place: Place) -> None:
        ada = await place.site.person("Ada")
        place.twilio.always = 503

        await place.asks_for_a_code(ada)

        async def tried() -> bool:
            return bool(await place.pool.fetchval("SELECT reason = 'http_503' FROM deliveries WHERE channel = 'sms'"))

        await until(tried)
        await place.site.advance(timedelta(seconds=CODE_VALID_S))
        place.site.server.delivery.wake([Channel.SMS])
        over = await place.delivery("skipped")
        assert (over["reason"], over["secret"], over["address"]) == ("expired", None, None)

    async def test_a_message_whose_connection_was_lost_is_sent_again_and_counted(self, place: Place) -> None:
        ada = await place.site.person("Ada")
        place.twilio.answers = [CUT]

        await place.asks_for_a_code(ada)

        async def tried() -> bool:
            return bool(await place.pool.fetchval("SELECT reason = 'cut' FROM deliveries WHERE channel = 'sms'"))

        await until(tried)
        await place.site.advance(timedelta(seconds=60))
        one = await place.delivery("sent")
        assert (one["attempts"], one["unknown_outcomes"]) == (2, 1)
        assert len(place.twilio.sent) == 2

    async def test_codes_go_only_to_countries_that_are_served(
        self, database_dsn: str, tmp_path: Path, twilio: TwilioService
    ) -> None:
        config = msgspec.structs.replace(twilio.config, countries=("DE", "AT"))
        async with open_site(database_dsn, make_config(tmp_path, sms=config)) as site:
            ada = await site.person("Ada")
            verdicts = [
                (await site.request("POST", "/auth/verify-phone/", ada, {"phone_number": number})).status
                for number in ("+371 21 234567", TO)
            ]

        assert verdicts == [422, 200]


async def planned(place: Place, person: Person, due_at: datetime, **said: Any) -> None:
    """Queue a critical short message."""
    one = Delivery(
        id=DeliveryId(place.site.node.runtime.new_id()),
        user_id=person.id,
        template="code.sms",
        channel=Channel.SMS,
        secret="471100",
        critical=True,
        due_at=due_at,
        at=due_at,
        **said,
    )
    async with routing_round(place.pool) as round_:
        await round_.write([one])
