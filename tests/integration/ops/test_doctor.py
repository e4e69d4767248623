"""``server doctor`` checks each provider, and reports where messages of channels without one go."""

import asyncio
from pathlib import Path

import pytest

from protocol.instants import ZONES_VERSION
from server.app.config import Config
from server.delivery.channels.push.vapid import load_vapid
from server.delivery.config import EmailConfig, PushConfig
from server.edge.config import DevConfig, ServerConfig
from server.llm.config import LlmConfig
from server.ops import doctor
from server.ops.doctor import Diagnosis, examine
from tests.support.fcm import PROJECT, open_google, write_account
from tests.support.llm import MODEL, Mode, open_model
from tests.support.smtp import SILENCE, mail_server


async def diagnose(channel: str, folder: Path, *, dev: bool = False, email: EmailConfig | None = None) -> Diagnosis:
    """The doctor's result for one channel."""
    server, development = ServerConfig(port=0, data_dir=str(folder)), DevConfig(enabled=dev)
    config = Config(server=server, dev=development, email=email or EmailConfig())
    (found,) = [found async for found in examine(config) if found.name == channel]
    return found


async def test_a_provider_that_responds_is_ok(tmp_path: Path) -> None:
    async with mail_server() as mail:
        found = await diagnose("email", tmp_path, email=mail.config)

    assert found.ok
    assert str(mail.config.port) in found.detail


async def test_an_unreachable_provider_is_bad(tmp_path: Path) -> None:
    async with mail_server() as mail:
        config = mail.config
    found = await diagnose("email", tmp_path, email=config)

    assert (found.ok, found.fatal) == (False, True)
    assert "connection_refused" in found.detail


async def test_a_silent_provider_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CHECK_TIMEOUT_S", 0.05)
    async with mail_server() as mail:
        mail.faults["NOOP"] = [SILENCE]
        found = await diagnose("email", tmp_path, email=mail.config)

    assert (found.ok, found.detail) == (False, "no answer within 0.05 s")


async def test_the_version_of_the_zone_rules_is_shown(tmp_path: Path) -> None:
    found = await diagnose("time zones", tmp_path)

    assert (found.ok, found.detail) == (True, f"rules of tzdata {ZONES_VERSION}")


async def test_without_a_provider_nothing_is_sent(tmp_path: Path) -> None:
    found = await diagnose("sms", tmp_path)

    assert (found.ok, found.fatal) == (False, False)
    assert "nothing is sent" in found.detail


async def test_in_development_the_mailbox_is_used(tmp_path: Path) -> None:
    found = await diagnose("sms", tmp_path, dev=True)

    assert found.ok
    assert "/dev/mailbox" in found.detail


async def diagnose_model(folder: Path, llm: LlmConfig) -> Diagnosis:
    config = Config(server=ServerConfig(port=0, data_dir=str(folder)), llm=llm)
    (found,) = [found async for found in examine(config) if found.name == "language model"]
    return found


async def test_a_listed_language_model_is_ok_and_so_is_none(tmp_path: Path) -> None:
    async with open_model() as model:
        found = await diagnose_model(tmp_path, model.config())

    assert (found.ok, found.detail) == (True, f"{MODEL} at {model.url}")
    assert (await diagnose_model(tmp_path, LlmConfig())).ok


async def test_a_language_model_that_refuses_the_key_is_bad(tmp_path: Path) -> None:
    async with open_model(Mode.KEY_REFUSED) as model:
        found = await diagnose_model(tmp_path, model.config())

    assert (found.ok, found.fatal) == (False, True)
    assert "http_401" in found.detail


async def diagnose_push(channel: str, folder: Path, push: PushConfig) -> Diagnosis:
    config = Config(server=ServerConfig(port=0, data_dir=str(folder)), push=push)
    found = {found.name: found async for found in examine(config)}
    return found.get(channel) or found["channels"]


async def test_the_account_is_checked_with_firebase(tmp_path: Path) -> None:
    async with open_google() as google:
        push = PushConfig(fcm_credentials=str(write_account(tmp_path / "account.json", google.url)))
        fine = await diagnose_push("push", tmp_path, push)
        google.token_answer = 400
        refused = await diagnose_push("push", tmp_path, push)

    assert (fine.ok, PROJECT in fine.detail) == (True, True)
    assert (refused.ok, refused.fatal, "token_refused" in refused.detail) == (False, True, True)


async def test_a_missing_account_file_is_named(tmp_path: Path) -> None:
    found = await diagnose_push("push", tmp_path, PushConfig(fcm_credentials=str(tmp_path / "account.json")))

    assert not found.ok
    assert "account.json" in found.detail


async def test_the_web_push_key_is_not_made_before_the_first_start(tmp_path: Path) -> None:
    found = await diagnose_push("web_push", tmp_path, PushConfig())

    assert found.ok
    assert "first start" in found.detail
    assert not (tmp_path / "keys").exists()

    load_vapid(ServerConfig(data_dir=str(tmp_path)), PushConfig())
    assert (await diagnose_push("web_push", tmp_path, PushConfig(vapid_subject="mailto:ops@guild.test"))).detail == (
        "signs as mailto:ops@guild.test for the push services of browsers"
    )


async def diagnose_port(folder: Path, host: str, port: int) -> Diagnosis:
    config = Config(server=ServerConfig(host=host, port=port, data_dir=str(folder)))
    (found,) = [found async for found in examine(config) if found.name == "port"]
    return found


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_port_in_use_is_bad(tmp_path: Path, host: str) -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), host, 0)
    port = server.sockets[0].getsockname()[1]
    taken = await diagnose_port(tmp_path, host, port)
    server.close()
    await server.wait_closed()
    free = await diagnose_port(tmp_path, host, port)

    assert (taken.ok, free.ok) == (False, True)


async def test_a_host_that_is_not_an_address_is_bad(tmp_path: Path) -> None:
    found = await diagnose_port(tmp_path, "nowhere.invalid", 8080)

    assert (found.ok, found.fatal) == (False, True)
    assert "nowhere.invalid" in found.detail
