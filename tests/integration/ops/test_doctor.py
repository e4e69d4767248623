"""``server doctor`` asks each provider, and says what becomes of channels without one."""

import asyncio
from pathlib import Path

import pytest

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


async def told_of(channel: str, folder: Path, *, dev: bool = False, email: EmailConfig | None = None) -> Diagnosis:
    """What the doctor finds of one channel."""
    server, development = ServerConfig(port=0, data_dir=str(folder)), DevConfig(enabled=dev)
    config = Config(server=server, dev=development, email=email or EmailConfig())
    (found,) = [found async for found in examine(config) if found.name == channel]
    return found


async def test_a_provider_that_answers_is_fine(tmp_path: Path) -> None:
    async with mail_server() as mail:
        found = await told_of("email", tmp_path, email=mail.config)

    assert found.fine
    assert str(mail.config.port) in found.says


async def test_a_provider_that_is_not_there_is_bad(tmp_path: Path) -> None:
    async with mail_server() as mail:
        config = mail.config
    found = await told_of("email", tmp_path, email=config)

    assert (found.fine, found.fatal) == (False, True)
    assert "connection_refused" in found.says


async def test_a_provider_that_says_nothing_is_given_up_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "CHECK_TIMEOUT_S", 0.05)
    async with mail_server() as mail:
        mail.faults["NOOP"] = [SILENCE]
        found = await told_of("email", tmp_path, email=mail.config)

    assert (found.fine, found.says) == (False, "no answer within 0.05 s")


async def test_without_a_provider_nothing_is_sent(tmp_path: Path) -> None:
    found = await told_of("sms", tmp_path)

    assert (found.fine, found.fatal) == (False, False)
    assert "nothing is sent" in found.says


async def test_in_development_a_mailbox_stands_in(tmp_path: Path) -> None:
    found = await told_of("sms", tmp_path, dev=True)

    assert found.fine
    assert "/dev/mailbox" in found.says


async def told_of_the_model(folder: Path, llm: LlmConfig) -> Diagnosis:
    config = Config(server=ServerConfig(port=0, data_dir=str(folder)), llm=llm)
    (found,) = [found async for found in examine(config) if found.name == "language model"]
    return found


async def test_a_language_model_that_is_listed_is_fine_and_so_is_none(tmp_path: Path) -> None:
    async with open_model() as model:
        found = await told_of_the_model(tmp_path, model.config())

    assert (found.fine, found.says) == (True, f"{MODEL} at {model.url}")
    assert (await told_of_the_model(tmp_path, LlmConfig())).fine


async def test_a_language_model_that_refuses_the_key_is_bad(tmp_path: Path) -> None:
    async with open_model(Mode.KEY_REFUSED) as model:
        found = await told_of_the_model(tmp_path, model.config())

    assert (found.fine, found.fatal) == (False, True)
    assert "http_401" in found.says


async def told_of_push(channel: str, folder: Path, push: PushConfig) -> Diagnosis:
    config = Config(server=ServerConfig(port=0, data_dir=str(folder)), push=push)
    found = {found.name: found async for found in examine(config)}
    return found.get(channel) or found["channels"]


async def test_firebase_is_asked_whether_it_takes_the_account(tmp_path: Path) -> None:
    async with open_google() as google:
        push = PushConfig(fcm_credentials=str(write_account(tmp_path / "account.json", google.url)))
        fine = await told_of_push("push", tmp_path, push)
        google.token_answer = 400
        refused = await told_of_push("push", tmp_path, push)

    assert (fine.fine, PROJECT in fine.says) == (True, True)
    assert (refused.fine, refused.fatal, "token_refused" in refused.says) == (False, True, True)


async def test_an_account_that_is_not_there_is_named(tmp_path: Path) -> None:
    found = await told_of_push("push", tmp_path, PushConfig(fcm_credentials=str(tmp_path / "account.json")))

    assert not found.fine
    assert "account.json" in found.says


async def test_the_key_of_web_push_is_left_to_the_first_start(tmp_path: Path) -> None:
    found = await told_of_push("web_push", tmp_path, PushConfig())

    assert found.fine
    assert "first start" in found.says
    assert not (tmp_path / "keys").exists()

    load_vapid(ServerConfig(data_dir=str(tmp_path)), PushConfig())
    assert (await told_of_push("web_push", tmp_path, PushConfig(vapid_subject="mailto:ops@guild.test"))).says == (
        "signs as mailto:ops@guild.test for the push services of browsers"
    )


async def told_of_the_port(folder: Path, host: str, port: int) -> Diagnosis:
    config = Config(server=ServerConfig(host=host, port=port, data_dir=str(folder)))
    (found,) = [found async for found in examine(config) if found.name == "port"]
    return found


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_port_that_is_taken_is_bad_until_it_is_free(tmp_path: Path, host: str) -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), host, 0)
    port = server.sockets[0].getsockname()[1]
    taken = await told_of_the_port(tmp_path, host, port)
    server.close()
    await server.wait_closed()
    free = await told_of_the_port(tmp_path, host, port)

    assert (taken.fine, free.fine) == (False, True)


async def test_a_host_that_is_no_address_is_bad(tmp_path: Path) -> None:
    found = await told_of_the_port(tmp_path, "nowhere.invalid", 8080)

    assert (found.fine, found.fatal) == (False, True)
    assert "nowhere.invalid" in found.says
