"""A killed server loses no code, whether it was sent or not."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from protocol.code.terms import CODE_MISSES_MAX
from storage.database import Pool
from tests.support.faults import until
from tests.support.mailbox import another
from tests.support.process import ServerProcess, server_process
from tests.support.twilio import ACCOUNT, NUMBER, TOKEN, TwilioService, open_twilio

PASSWORD = "a good enough secret"


@dataclass
class Place:
    """A server process and a client."""

    server: ServerProcess
    twilio: TwilioService
    http: aiohttp.ClientSession

    async def post(self, path: str, token: str = "", **body: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.http.post(f"{self.server.url}/auth/{path}/", json=body, headers=headers) as answer:
            return await answer.json(content_type=None)

    async def person(self, name: str) -> str:
        """Sign up; returns the token."""
        made = await self.post("signup", email=f"{name}@people.test", password=PASSWORD, name=name)
        return str(made["access_token"])

    async def killed(self) -> None:
        """Kill the server and start it again."""
        await self.server.kill()
        await self.server.start()

    async def arrived(self, count: int) -> str:
        """Wait for this many messages; returns the code of the last one."""

        async def there() -> bool:
            return len(self.twilio.sent) >= count

        await until(there)
        return self.twilio.sent[-1]["Body"][:6]


@pytest.fixture
async def place(database_dsn: str, tmp_path: Path) -> AsyncIterator[Place]:
    async with (
        open_twilio() as twilio,
        server_process(
            tmp_path,
            GUILDWIRE_DATABASE__URL=database_dsn,
            GUILDWIRE_SMS__ACCOUNT_SID=ACCOUNT,
            GUILDWIRE_SMS__AUTH_TOKEN=TOKEN,
            GUILDWIRE_SMS__FROM_NUMBER=NUMBER,
            GUILDWIRE_SMS__BASE_URL=twilio.url,
            GUILDWIRE_LOG__LEVEL="debug",
        ) as server,
        aiohttp.ClientSession() as http,
    ):
        await server.start()
        yield Place(server, twilio, http)


async def test_a_code_that_waits_and_its_wrong_guesses_outlive_a_kill(place: Place) -> None:
    ada, eve = await place.person("ada"), await place.person("eve")
    await place.post("verify-phone", ada, phone_number="+4915112345678")
    right = await place.arrived(1)
    await place.post("verify-phone", eve, phone_number="+4915198765432")
    guessed = await place.arrived(2)
    for _ in range(CODE_MISSES_MAX - 1):
        await place.post("verify-phone", eve, code=another(guessed))

    await place.killed()

    assert (await place.post("verify-phone", ada, code=right))["done"] is True
    assert (await place.post("verify-phone", eve, code=another(guessed)))["code"] == "code_invalid"
    assert (await place.post("verify-phone", eve, code=guessed))["code"] == "code_invalid"
    secrets = [right, guessed, another(guessed), "15112345678", "15198765432", TOKEN]
    assert [secret for secret in secrets if secret in place.server.log] == []


async def test_a_code_that_was_not_sent_when_the_server_died_is_sent_by_the_next(place: Place, pool: Pool) -> None:
    place.twilio.always = 503
    ada = await place.person("ada")
    await place.post("verify-phone", ada, phone_number="+4915112345678")

    async def refused() -> bool:
        return bool(await pool.fetchval("SELECT reason = 'http_503' FROM deliveries WHERE channel = 'sms'"))

    await until(refused)
    await place.server.kill()
    place.twilio.always = None
    await place.server.start()

    assert (await place.post("verify-phone", ada, code=await place.arrived(1)))["done"] is True
