"""A language model's server: OpenAI's chat completions over HTTP, with every trouble that one may make.

async with open_model() as model:
    model.mode = Mode.BUSY
    …
    assert model.asked == []
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from aiohttp import web

from server.llm.config import LlmConfig

MODEL = "stand-in-1"
KEY = "a key that nobody may see"
GOOD = (
    "I'll be there at noon.",
    "Could you open the gate?",
    "Thanks, that's very kind.",
    "Perfect, great!",
    "No, sorry.",
)
#: What a model that obeys an injection may say: four, of which two lead somewhere else.
INJECTED = (
    "Pay at https://evil.example/pay now",
    "Call me: +49 151 2345 6789",
    "Yes, that's fine with me.",
    "HACKED\n",
)
#: Tokens of each answer, as the server counts.
TOKENS_IN, TOKENS_OUT = 700, 50


class Mode(StrEnum):
    """How the server behaves."""

    UP = "up"
    #: It holds its answer until it is released.
    SLOW = "slow"
    #: The port refuses connections.
    DOWN = "down"
    BUSY = "429"
    BUSY_FOR_LONG = "429 for 60 s"
    BROKEN = "500"
    KEY_REFUSED = "401"
    #: It does not know of answers by schema.
    NO_SCHEMA = "400 to a schema"
    REFUSED = "400 to anything"
    FENCED = "JSON in a fence"
    UNCOUNTED = "no usage"
    COUNTED_ODDLY = "usage of another shape"
    COUNTED_WILDLY = "usage beyond measure"
    MALFORMED_BODY = "body is no JSON"
    MALFORMED_ANSWER = "answer is no JSON"
    WRONG_SHAPE = "answer of another shape"
    WRONG_TYPES = "answer of other types"
    NO_CHOICE = "no choice"
    HUGE = "too long a body"
    INJECTED = "obeys an injection"
    NONSENSE = "replies in another script"
    CUT = "cut in the middle"
    MOVED = "307 to somewhere else"


#: Modes in which what the model says is of use.
HELPFUL = (Mode.UP, Mode.NO_SCHEMA, Mode.FENCED, Mode.UNCOUNTED, Mode.COUNTED_ODDLY, Mode.COUNTED_WILDLY, Mode.INJECTED)


_ERRORS = {
    Mode.BUSY: 429,
    Mode.BUSY_FOR_LONG: 429,
    Mode.BROKEN: 500,
    Mode.KEY_REFUSED: 401,
    Mode.REFUSED: 400,
    Mode.MOVED: 307,
}
_BODIES = {
    Mode.MALFORMED_BODY: b'{"choices": [{"mess',
    Mode.NO_CHOICE: b'{"choices": []}',
    Mode.HUGE: b" " * 1024 * 1024,
}
_USAGES: dict[Mode, dict[str, Any]] = {
    Mode.UNCOUNTED: {},
    Mode.COUNTED_ODDLY: {"usage": {"prompt_tokens": "many", "completion_tokens": 1.5}},
    Mode.COUNTED_WILDLY: {"usage": {"prompt_tokens": 10**30, "completion_tokens": -5}},
}
_CONTENTS = {
    Mode.MALFORMED_ANSWER: '{"replies": ["I am on',
    Mode.WRONG_SHAPE: json.dumps({"replies": list(GOOD), "note": "as you wished"}),
    Mode.WRONG_TYPES: json.dumps({"replies": [1, None, {"text": "Yes"}, ["No"], True]}),
    Mode.INJECTED: json.dumps({"replies": list(INJECTED)}),
    Mode.NONSENSE: json.dumps({"replies": ["Да", "Нет", "\u202eoN", "", "[number]"]}),
}


@dataclass
class StandIn:
    """The server, and what it was asked."""

    mode: Mode = Mode.UP
    #: Replies, as it gives them when it is up.
    replies: tuple[str, ...] = GOOD
    #: Modes of the next requests; the last one stays.
    script: list[Mode] = field(default_factory=list)
    #: Each request's path, headers and body, whole.
    requests: list[str] = field(default_factory=list)
    #: Bodies of the questions.
    asked: list[dict[str, Any]] = field(default_factory=list)
    #: Questions under way, and the most that ever were at once.
    now: int = 0
    most: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    def config(self, **options: Any) -> LlmConfig:
        """The configuration that leads here."""
        return LlmConfig(**{"base_url": self.url, "model": MODEL, "api_key": KEY, **options})

    def data(self, number: int = -1) -> Any:
        """What people wrote, as one question has it."""
        return json.loads(self.asked[number]["messages"][1]["content"])

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """Answer a question."""
        text = await request.text()
        self.requests.append(f"{request.path_qs} {dict(request.headers)} {text}")
        self.asked.append(json.loads(text))
        if self.script:
            self.mode = self.script.pop(0)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            if self.mode is Mode.SLOW:
                await self.released.wait()
            return await self._answer(request, self.asked[-1])
        finally:
            self.now -= 1

    async def _answer(self, request: web.Request, asked: dict[str, Any]) -> web.StreamResponse:
        if self.mode is Mode.CUT:
            return await self._cut(request)
        if self.mode is Mode.NO_SCHEMA and "response_format" in asked:
            return _error(400)
        if self.mode in _ERRORS:
            return _error(_ERRORS[self.mode], {"Retry-After": "60"} if self.mode is Mode.BUSY_FOR_LONG else {})
        body = _BODIES.get(self.mode)
        if body is not None:
            return web.Response(body=body, content_type="application/json")
        return web.json_response(self._completion())

    async def _cut(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "4000"})
        await response.prepare(request)
        await response.write(b'{"choices": [{"message": {"content": "')
        assert request.transport is not None
        request.transport.close()
        return response

    def _completion(self) -> dict[str, Any]:
        message = {"role": "assistant", "content": self._content()}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": MODEL,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            **_USAGES.get(self.mode, {"usage": {"prompt_tokens": TOKENS_IN, "completion_tokens": TOKENS_OUT}}),
        }

    def _content(self) -> str:
        good = json.dumps({"replies": list(self.replies)})
        return f"```json\n{good}\n```" if self.mode is Mode.FENCED else _CONTENTS.get(self.mode, good)

    async def models(self, request: web.Request) -> web.StreamResponse:
        """List the models."""
        self.requests.append(f"{request.path_qs} {dict(request.headers)}")
        if self.mode is Mode.KEY_REFUSED:
            return web.json_response({"error": {"message": "who are you?"}}, status=401)
        if self.mode is Mode.MALFORMED_BODY:
            return web.Response(text="<html>", content_type="text/html")
        return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model", "created": 1}]})


def _error(status: int, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(
        {"error": {"message": "no"}}, status=status, headers={"Location": "/v1/x", **(headers or {})}
    )


@asynccontextmanager
async def open_model(mode: Mode = Mode.UP) -> AsyncIterator[StandIn]:
    """A server on a free port of this machine; in the mode ``DOWN`` the port refuses connections."""
    model = StandIn(mode)
    app = web.Application()
    app.router.add_post("/v1/chat/completions", model.complete)
    app.router.add_get("/v1/models", model.models)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    model.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        if mode is Mode.DOWN:
            await site.stop()
        yield model
    finally:
        model.released.set()
        await runner.cleanup()
