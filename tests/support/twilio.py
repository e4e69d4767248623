"""Twilio's API on a free port: scripted responses, and callbacks signed as Twilio signs them.

async with open_twilio() as twilio:
    adapter = Twilio(twilio.config, Channel.SMS, now)
    twilio.answers = [429, "cut"]      # the next two; the third one is accepted
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from aiohttp import encode_basic_auth, web
from twilio.request_validator import RequestValidator

from server.delivery.config import SmsConfig

ACCOUNT, TOKEN, NUMBER = "AC" + "0" * 31 + "1", "the token that signs", "+4930111111"
SIGNED_IN = encode_basic_auth(ACCOUNT, TOKEN)
#: Besides an HTTP status or an error code of Twilio, a response may be one of these.
SLOW, CUT, MALFORMED, NOT_HTTP = "slow", "cut", "malformed", "not http"


@dataclass
class TwilioService:
    """The messages, and the scripted responses."""

    url: str = ""
    #: The next answers: a status, ``(status, code)``, or SLOW, CUT (accepted, then disconnected), MALFORMED.
    answers: list[Any] = field(default_factory=list)
    #: The same, every time.
    always: Any = None
    retry_after: str = ""
    account_status: str = "active"
    sent: list[dict[str, str]] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def config(self) -> SmsConfig:
        """The configuration for the server."""
        return SmsConfig(account_sid=ACCOUNT, auth_token=TOKEN, from_number=NUMBER, base_url=self.url)

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Accept a message."""
        assert request.headers["Authorization"] == SIGNED_IN
        answer = self.answers.pop(0) if self.answers else self.always
        form = {name: str(value) for name, value in (await request.post()).items()}
        match answer:
            case int(status):
                return web.json_response({"message": "no"}, status=status, headers=self._headers)
            case (int(status), int(code)):
                body = {"code": code, "status": status, "message": f"about {form['To']}"}
                return web.json_response(body, status=status, headers=self._headers)
        self.sent.append(form)
        match answer:
            case "slow":
                await self.released.wait()
            case "cut" | "not http":
                assert request.transport is not None
                if answer == NOT_HTTP:
                    request.transport.write(b"this is no HTTP\r\n\r\n")
                request.transport.close()
            case "malformed":
                return web.Response(text="<html>welcome to the hotel</html>", status=201)
        return web.json_response({"sid": f"SM{len(self.sent):032}", "status": "queued"}, status=201)

    async def account(self, request: web.Request) -> web.Response:
        """Return the account."""
        if request.headers["Authorization"] != SIGNED_IN:
            return web.json_response({"code": 20003, "message": "Authenticate"}, status=401)
        return web.json_response({"sid": ACCOUNT, "status": self.account_status})

    @property
    def _headers(self) -> dict[str, str]:
        return {"Retry-After": self.retry_after} if self.retry_after else {}


def signed(url: str, fields: dict[str, str], token: str = TOKEN) -> tuple[bytes, dict[str, str]]:
    """The body and headers of a callback to that address, as Twilio sends it."""
    signature = RequestValidator(token).compute_signature(url, fields)
    headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
    return urlencode(fields).encode(), headers


@asynccontextmanager
async def open_twilio() -> AsyncIterator[TwilioService]:
    """Serve on a free port until the end."""
    service = TwilioService()
    app = web.Application()
    app.router.add_post(f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json", service.take)
    app.router.add_get("/2010-04-01/Accounts/{sid}.json", service.account)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        service.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield service
    finally:
        service.released.set()
        await runner.cleanup()
