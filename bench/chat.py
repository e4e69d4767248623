"""W2's client: pairs of users who chat in a closed loop: each sends the next message when the last one was acked.

Both members of a conversation must receive every message; the copy for the peer is the push that is counted.
"""

import asyncio
from array import array
from base64 import b64encode
from functools import partial
from os import urandom
from time import perf_counter
from typing import cast
from urllib.parse import urlsplit

import msgspec
import uvloop
from msgspec import Struct

from bench.client import Window, WindowResult, address_of, read_plan, report
from protocol.frames import SUBPROTOCOL_JSON

CONNECT_TIMEOUT_S = 30.0

_TEXT, _FIN, _MASKED, _SHORT_MAX, _MEDIUM = 0x1, 0x80, 0x80, 125, 126
#: A mask of zeros leaves the payload unchanged (RFC 6455 §5.3 only requires that scripts of a page cannot choose it).
_MASK = bytes(4)
#: A frame begins with its kind, which its first letter identifies.
_KIND = len(b'{"frame":"')
_EVENT, _REPLY, _WELCOME, _PING = b"erwp"
_PONG = b'{"frame":"pong"}'


class ChatPlan(Struct, frozen=True, kw_only=True):
    """The parameters of a run."""

    url: str
    warmup_s: float
    seconds: float
    #: (conversation, access tokens of its two members).
    pairs: list[tuple[str, str, str]]
    #: Makes this run's command ids different from every other's.
    run: str


def _header(length: int) -> bytes:
    """The header of a masked text message."""
    if length <= _SHORT_MAX:
        return bytes((_FIN | _TEXT, _MASKED | length)) + _MASK
    return bytes((_FIN | _TEXT, _MASKED | _MEDIUM)) + length.to_bytes(2, "big") + _MASK


def _framed(payload: bytes) -> bytes:
    return _header(len(payload)) + payload


class ChatSocket(asyncio.Protocol):
    """One member's socket."""

    def __init__(self, window: Window, host: str, token: str, message: bytes) -> None:
        self.opened = asyncio.Event()
        #: Messages of this member that were acked, and events that were received.
        self.acked = 0
        self.received = 0
        self.waits = False
        self._window = window
        self._latencies: array[float] = window.latencies
        self._host = host
        self._token = token
        self._message = message
        self._header = _header(len(message % 0))
        self._sent = 0
        self._sent_at = 0.0
        self._held = b""
        self._upgraded = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        key = b64encode(urandom(16)).decode()
        self._transport.write(
            f"GET /v1/socket HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            f"Sec-WebSocket-Protocol: {SUBPROTOCOL_JSON}\r\n\r\n".encode()
        )

    def send(self) -> None:
        """Send the next message."""
        self.waits = True
        self._sent += 1
        self._sent_at = perf_counter()
        self._transport.write(self._header + self._message % self._sent)

    def data_received(self, data: bytes) -> None:
        if self._held:
            data = self._held + data
        at, end = 0, len(data)
        if not self._upgraded:
            at = self._upgrade(data)
        while at + 4 <= end:
            length = data[at + 1]
            begin = at + 2
            if length == _MEDIUM:
                length, begin = data[at + 2] << 8 | data[at + 3], at + 4
            if begin + length > end:
                break
            at = begin + length
            kind = data[begin + _KIND]
            if kind == _EVENT:
                self.received += 1
            elif kind == _REPLY:
                self._replied()
            else:
                self._take(kind, data[begin:at])
        self._held = data[at:]

    def _upgrade(self, data: bytes) -> int:
        """Check the handshake's response and send hello; returns the offset of the first frame."""
        head = data.find(b"\r\n\r\n")
        if not data.startswith(b"HTTP/1.1 101 ") or head < 0:
            self._window.failed(f"no handshake: {data[:60]!r}")
            self._transport.close()
            return len(data)
        self._upgraded = True
        self._transport.write(_framed(b'{"frame":"hello","token":"%b"}' % self._token.encode()))
        return head + 4

    def _replied(self) -> None:
        self._latencies.append(perf_counter() - self._sent_at)
        self.acked += 1
        if self._window.open:
            self.send()
        else:
            self.waits = False

    def _take(self, kind: int, payload: bytes) -> None:
        if kind == _WELCOME:
            self.opened.set()
        elif kind == _PING:
            self._transport.write(_framed(_PONG))
        else:
            self._window.failed(payload[:200].decode(errors="replace"))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._window.open:
            self._window.failed(f"connection lost: {exc}")


def _message(plan: ChatPlan, conversation: str) -> bytes:
    """The frame of a message to this conversation, with a placeholder for its number."""
    data = f'{{"conversation_id":"{conversation}","text":"I could be there at ten, if that suits you."}}'
    return f'{{"frame":"command","id":"{plan.run}-%07d","name":"conversation.post","data":{data}}}'.encode()


async def chat(plan: ChatPlan) -> WindowResult:
    """Run the plan."""
    window, address, host = Window(plan.warmup_s, plan.seconds), address_of(plan.url), urlsplit(plan.url).netloc
    loop = asyncio.get_running_loop()
    pairs: list[tuple[ChatSocket, ChatSocket]] = []
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        for conversation, *tokens in plan.pairs:
            message = _message(plan, conversation)
            members = []
            for token in tokens:
                socket = ChatSocket(window, host, token, message)
                await loop.create_connection(partial(_same, socket), *address)
                await socket.opened.wait()
                members.append(socket)
            pairs.append((members[0], members[1]))
    for pair in pairs:
        for socket in pair:
            socket.send()

    def idle() -> bool:
        return not any(a.waits or b.waits or _missed(a, b) for a, b in pairs)

    await window.run(idle)
    if missed := sum(_missed(*pair) for pair in pairs):
        window.wrong["pushes missed"] = missed
    return window.result()


def _same(socket: ChatSocket) -> ChatSocket:
    return socket


def _missed(one: ChatSocket, other: ChatSocket) -> int:
    """Number of missing or surplus events; each of the two should receive the messages of both."""
    acked = one.acked + other.acked
    return abs(acked - one.received) + abs(acked - other.received)


if __name__ == "__main__":
    report(uvloop.run(chat(msgspec.json.decode(read_plan(), type=ChatPlan))))
