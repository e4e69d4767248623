"""The SMTP adapter against a mail server that misbehaves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from protocol.ids import DeliveryId
from server.delivery.adapters import Gone, Outcome, Refused, Sent, TryLater
from server.delivery.channels.email import connections, smtp
from server.delivery.channels.email.mime import Email
from server.delivery.channels.email.smtp import Smtp
from server.delivery.worker import LEASE_S
from server.edge.adapter_error import AdapterError
from tests.support.faults import until
from tests.support.smtp import CUT, GARBAGE, PASSWORD, SILENCE, MailServer, Security, mail_server

ID = DeliveryId(UUID("01890000-0000-7000-8000-000000000001"))
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def sample(**said: str | None) -> Email:
    fields = {"to": "ada@people.test", "subject": "Hello", "text": "Hello, Ada!", "html": "<p>Hello, Ada!</p>", **said}
    return Email(id=ID, **fields)  # type: ignore[arg-type]  # a test's own fields


@asynccontextmanager
async def adapter(mail: MailServer) -> AsyncIterator[Smtp]:
    made = Smtp(mail.config, lambda: NOW)
    try:
        yield made
    finally:
        await made.close()


async def sent(made: Smtp, email: Email | None = None) -> Outcome:
    (outcome,) = await made.send([email or sample()])
    return outcome


@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
async def test_an_email_is_sent_encrypted_and_signed_in_as_configured(security: Security, tmp_path: Path) -> None:
    password = "" if security == "none" else PASSWORD
    async with mail_server(security, tmp_path, password=password) as mail, adapter(mail) as made:
        assert await sent(made) == Sent("T1")

    (taken,) = mail.taken
    assert (taken.sender, taken.recipients) == ("no-reply@guild.test", ("ada@people.test",))
    assert taken.encrypted == (security != "none")
    assert taken.signed_in == (security != "none")


async def test_an_untrusted_certificate_is_refused(tmp_path: Path) -> None:
    async with mail_server("starttls", tmp_path, password=PASSWORD) as mail:
        mail.config = msgspec.structs.replace(mail.config, ca_path="")
        async with adapter(mail) as made:
            assert await sent(made) == TryLater("tls")
    assert not mail.taken
    assert mail.heard["AUTH"] == 0


async def test_missing_certificates_are_named(tmp_path: Path) -> None:
    async with mail_server("starttls", tmp_path, password=PASSWORD) as mail:
        mail.config = msgspec.structs.replace(mail.config, ca_path=str(tmp_path / "none.pem"))
        async with adapter(mail) as made:
            with pytest.raises(AdapterError, match=r"ca_path_unreadable$"):
                await made.check()


async def test_a_server_without_encryption_gets_neither_email_nor_password() -> None:
    async with mail_server("none") as mail:
        mail.config = msgspec.structs.replace(mail.config, security="starttls", username="me", password="mine")
        async with adapter(mail) as made:
            assert await sent(made) == TryLater("not_supported")
    assert not mail.taken


async def test_a_wrong_password_does_not_refuse_the_email(tmp_path: Path) -> None:
    async with mail_server("starttls", tmp_path, password="wrong") as mail, adapter(mail) as made:
        assert await sent(made) == TryLater("auth_535")
        with pytest.raises(AdapterError, match=r"^127\.0\.0\.1:\d+: auth_535$"):
            await made.check()


@pytest.mark.parametrize(
    ("command", "fault", "outcome"),
    [
        ("connect", "421 too busy", TryLater("smtp_421")),
        ("connect", "554 not you", TryLater("smtp_554")),
        ("connect", CUT, TryLater("disconnected")),
        ("connect", GARBAGE, TryLater("malformed")),
        ("MAIL", "421 4.3.2 going down", TryLater("smtp_421")),
        ("MAIL", "550 5.7.1 we do not know you", TryLater("smtp_550")),
        ("MAIL", CUT, TryLater("disconnected")),
        ("MAIL", GARBAGE, TryLater("malformed")),
        ("RCPT", "421 4.3.2 going down", TryLater("smtp_421")),
        ("RCPT", "451 4.7.1 greylisted", TryLater("smtp_451", recipient_specific=True)),
        ("RCPT", "550 5.1.1 no such user", Gone("smtp_550")),
        ("RCPT", "556 5.1.10 takes no mail", Gone("smtp_556")),
        ("RCPT", "550 5.1.15 not one of them", Refused("smtp_550")),
        ("RCPT", "550 blocked", Refused("smtp_550")),
        ("RCPT", CUT, TryLater("disconnected")),
        ("RCPT", GARBAGE, TryLater("malformed")),
        ("DATA", "421 4.3.2 going down", TryLater("smtp_421")),
        ("DATA", "451 4.3.0 disk full", TryLater("smtp_451")),
        ("DATA", "550 5.7.1 looks like spam", Refused("smtp_550")),
        ("DATA", CUT, TryLater("disconnected", unknown=True)),
        ("DATA", GARBAGE, TryLater("malformed", unknown=True)),
        ("DATA", "299 whatever", TryLater("malformed", unknown=True)),
    ],
)
async def test_each_failure_has_its_outcome_and_the_next_email_is_sent(
    command: str, fault: str, outcome: Outcome
) -> None:
    async with mail_server() as mail, adapter(mail) as made:
        mail.faults[command] = [fault]

        assert await sent(made) == outcome

        assert not mail.taken
        assert await sent(made) == Sent("T1")


@pytest.mark.parametrize("command", ["connect", "MAIL", "RCPT", "DATA"])
async def test_a_server_that_does_not_respond_in_time_is_abandoned(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "ENVELOPE_TIMEOUT_S", 0.2)
    monkeypatch.setattr(smtp, "DATA_TIMEOUT_S", 0.2)
    async with mail_server() as mail, adapter(mail) as made:
        mail.faults[command] = [SILENCE]

        assert await sent(made) == TryLater("timeout", unknown=command == "DATA")

        assert await sent(made) == Sent("T1")


async def test_a_slow_server_is_waited_for() -> None:
    async with mail_server() as mail, adapter(mail) as made:
        mail.delay_s = 0.2

        assert await sent(made) == Sent("T1")


async def test_a_refused_connection_is_known_at_once() -> None:
    async with mail_server() as mail:
        pass
    async with adapter(mail) as made:
        assert await sent(made) == TryLater("connection_refused")


async def test_connections_are_reused() -> None:
    async with mail_server() as mail, adapter(mail) as made:
        for _ in range(5):
            await sent(made)
        await sent(made, sample(to="not an address"))
        mail.faults["RCPT"] = ["550 5.1.1 no such user"]
        await sent(made)
        await sent(made)

    assert mail.heard["connect"] == 1
    assert len(mail.taken) == 6


async def test_a_dead_reused_connection_is_replaced_within_the_attempt() -> None:
    async with mail_server() as mail, adapter(mail) as made:
        await sent(made)
        mail.faults["MAIL"] = ["421 4.4.2 idle for too long"]
        assert await sent(made) == Sent("T2")
        mail.faults["MAIL"] = [CUT]
        assert await sent(made) == Sent("T3")

    assert mail.heard["connect"] == 3


async def test_an_idle_connection_is_checked_before_reuse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CHECK_AFTER_S", 0.0)
    async with mail_server() as mail, adapter(mail) as made:
        await sent(made)
        await sent(made)
        assert (mail.heard["NOOP"], mail.heard["connect"]) == (1, 1)
        mail.faults["NOOP"] = [CUT]
        assert await sent(made) == Sent("T3")

    assert mail.heard["connect"] == 2


async def rested(made: Smtp, count: int) -> None:
    """Leave this many idle connections."""
    await asyncio.gather(*[sent(made) for _ in range(count)])


async def test_if_one_idle_connection_is_dead_the_others_are_discarded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with mail_server() as mail, adapter(mail) as made:
        mail.delay_s = 0.05
        await rested(made, 4)
        monkeypatch.setattr(connections, "CHECK_AFTER_S", 0.0)
        monkeypatch.setattr(connections, "CHECK_TIMEOUT_S", 0.2)
        mail.always["NOOP"] = SILENCE

        assert await sent(made) == Sent("T5")

    assert (mail.heard["NOOP"], mail.heard["connect"]) == (1, 5)


async def test_a_connection_whose_check_is_cancelled_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with mail_server() as mail, adapter(mail) as made:
        await sent(made)
        monkeypatch.setattr(connections, "CHECK_AFTER_S", 0.0)
        monkeypatch.setattr(smtp, "ENVELOPE_TIMEOUT_S", 0.2)
        mail.always["NOOP"] = SILENCE

        assert await sent(made) == TryLater("timeout")

        await until(partial(no_line, mail))


async def no_line(mail: MailServer) -> bool:
    return not mail.lines


async def test_idle_connections_are_closed_concurrently(monkeypatch: pytest.MonkeyPatch) -> None:
    async with mail_server() as mail:
        made = Smtp(mail.config, lambda: NOW)
        mail.delay_s, mail.always["QUIT"] = 0.05, SILENCE
        await rested(made, 3)
        monkeypatch.setattr(connections, "CHECK_TIMEOUT_S", 3600.0)

        closing = asyncio.create_task(made.close())
        await until(partial(heard, mail, "QUIT", 3))

        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        mail.cut_all()


async def heard(mail: MailServer, command: str, times: int) -> bool:
    return mail.heard[command] >= times


async def test_an_unused_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "IDLE_MAX_S", 0.01)
    async with mail_server() as mail, adapter(mail) as made:
        await sent(made)
        async with asyncio.timeout(10):
            while mail.lines:
                await asyncio.sleep(0.01)


async def test_connections_are_bounded_and_released(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "EMAILS_PER_CONNECTION_MAX", 2)
    async with mail_server() as mail, adapter(mail) as made:
        mail.delay_s = 0.05
        outcomes = await asyncio.gather(*[sent(made) for _ in range(3 * connections.CONNECTIONS_MAX)])
        assert all(isinstance(outcome, Sent) for outcome in outcomes)
        assert len(mail.lines) <= connections.CONNECTIONS_MAX

    assert mail.heard["connect"] == 2 * connections.CONNECTIONS_MAX


async def test_the_check_signs_in_and_sends_nothing(tmp_path: Path) -> None:
    async with mail_server("starttls", tmp_path, password=PASSWORD) as mail, adapter(mail) as made:
        said = await made.check()

    assert said.endswith("encrypted by STARTTLS, signed in")
    assert mail.heard["NOOP"] == 1
    assert not mail.taken


async def test_an_attempt_ends_before_the_worker_s_timeout() -> None:
    assert smtp.ENVELOPE_TIMEOUT_S + smtp.DATA_TIMEOUT_S < LEASE_S / 2


# MIME


async def test_an_email_has_its_headers_and_a_second_copy_the_same_id() -> None:
    async with mail_server() as mail, adapter(mail) as made:
        await sent(made, sample(unsubscribe_url="https://guild.test/unsubscribe/abc"))
        await sent(made)

    first, second = (taken.message for taken in mail.taken)
    assert first["Message-ID"] == second["Message-ID"] == f"<{ID}@guild.test>"
    assert first["From"] == "The Guild <no-reply@guild.test>"
    assert first["Date"].datetime == NOW
    assert first["Auto-Submitted"] == "auto-generated"
    assert first["List-Unsubscribe"] == "<https://guild.test/unsubscribe/abc>"
    assert first["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert second["List-Unsubscribe"] is None
    assert first.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in first.iter_parts()] == ["text/plain", "text/html"]


@pytest.mark.parametrize(
    "hostile",
    [
        "Ada\r\nBcc: all@people.test",
        "Ada\nBcc: all@people.test",
        "Ada\u2028Bcc: all@people.test",
        'Ada" <all@people.test>, "Bob',
        "Ada, Bob <all@people.test>; all@people.test",
        "=?utf-8?q?Ada=0ABcc=3A_all=40people.test?=",
        "Ädä, " * 60 + "<all@people.test>",
        "\ud800 \x00 \u202eadA",
        "",
    ],
)
async def test_headers_cannot_be_injected(hostile: str) -> None:
    async with mail_server() as mail, adapter(mail) as made:
        assert await sent(made, sample(to_name=hostile, subject=hostile)) == Sent("T1")

    (taken,) = mail.taken
    assert taken.recipients == ("ada@people.test",)
    assert [address.addr_spec for address in taken.message["To"].addresses] == ["ada@people.test"]
    assert taken.message["Bcc"] is None
    assert "\n" not in taken.message["Subject"]
    assert len(taken.message["Subject"]) <= 200


async def test_names_and_subjects_of_every_script_arrive() -> None:
    async with mail_server() as mail, adapter(mail) as made:
        await sent(
            made, sample(to_name="Zoë Ångström 李 🎻", subject="Buchung bestätigt – 9:00 Uhr 🎻", text="Grüße\n.\n..\n")
        )

    (taken,) = mail.taken
    taken.data.decode("ascii")  # safe for servers without 8BITMIME
    assert taken.message["To"].addresses[0].display_name == "Zoë Ångström 李 🎻"
    assert taken.message["Subject"] == "Buchung bestätigt – 9:00 Uhr 🎻"
    body = taken.message.get_body(("plain",))
    assert body is not None
    assert body.get_content().splitlines() == ["Grüße", ".", ".."]


async def test_domains_beyond_ascii_are_encoded() -> None:
    async with mail_server(utf8=False) as mail, adapter(mail) as made:
        assert await sent(made, sample(to="ada@bücher.test")) == Sent("T1")

    assert mail.taken[0].recipients == ("ada@xn--bcher-kva.test",)


async def test_local_parts_beyond_ascii_need_smtputf8() -> None:
    async with mail_server(utf8=True) as mail, adapter(mail) as made:
        assert await sent(made, sample(to="jürgen@bücher.test")) == Sent("T1")
    assert mail.taken[0].recipients == ("jürgen@xn--bcher-kva.test",)

    async with mail_server(utf8=False) as mail, adapter(mail) as made:
        assert await sent(made, sample(to="jürgen@bücher.test")) == Refused("smtputf8_missing")


@pytest.mark.parametrize(
    "address", ["", "ada", "ada@", "a b@c.test", "ada@people.test\r\nRCPT TO:<x@y.test>", "a@b, c@d"]
)
async def test_a_malformed_address_is_refused_without_a_connection(address: str) -> None:
    async with mail_server() as mail, adapter(mail) as made:
        assert await sent(made, sample(to=address)) == Refused("bad_address")

    assert mail.heard["connect"] == 0
