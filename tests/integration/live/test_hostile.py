"""Any message is answered or closed with a documented code, no crash is logged, and other connections continue."""

import asyncio
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import Phase, given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from protocol.errors import ERRORS
from protocol.frames import CloseCode
from server.edge.config import LimitsConfig
from server.live.connection.codec import JSON, MSGPACK, Codec
from tests.support.live_server import connect_client
from tests.support.malformed_input import examples, messages, odd_messages
from tests.support.server import Site, make_config, open_site
from tests.support.wire import frame

CODECS = pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=["json", "msgpack"])
TIMEOUT_S = 10
KNOWN_CODES = {int(code) for code in CloseCode} | {1000, 1002, 1009}
CRASHES = ("crashed", "internal", "query_failed", "submit_failed", "flush_failed", "tick_failed", "read_failed")
UNLIMITED = LimitsConfig(
    commands_per_s=1e6, command_rates=False, unpaid_holds_max=0, queries_per_s=1e6, connections_per_user=1000
)


def talk(url: str, codec: Codec, token: str, said: list[tuple[bytes, bool]]) -> None:
    """Send hello, then the messages, and check the answers against the protocol.

    Args:
        said: each message, and whether it is sent with the other opcode than the subprotocol's.
    """
    text = codec is JSON
    encode = msgspec.json.encode if text else msgspec.msgpack.encode
    decode = msgspec.json.decode if text else msgspec.msgpack.decode
    with connect(url, subprotocols=[Subprotocol(codec.subprotocol)], compression=None, close_timeout=1) as connection:
        connection.send(encode({"frame": "hello", "token": token}), text=text)
        closed = None
        try:
            assert decode(connection.recv(TIMEOUT_S, decode=False))["frame"] == "welcome"
            for message, other_opcode in said:
                connection.send(message, text=text is not other_opcode)
            connection.send(encode({"frame": "ping"}), text=text)
            while (frame := decode(connection.recv(TIMEOUT_S, decode=False)))["frame"] != "pong":
                if frame["frame"] == "error":
                    assert frame["code"] in ERRORS
                    assert frame["code"] != "internal", frame
        except ConnectionClosed as error:
            closed = error
    if closed is not None:
        assert closed.rcvd is not None, "the connection was cut"
        assert closed.rcvd.code in KNOWN_CODES


@CODECS
async def test_the_server_survives_any_message(
    database_dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], codec: Codec
) -> None:
    async with open_site(database_dsn, make_config(tmp_path, limits=UNLIMITED)) as site:
        ada, eve = await site.people("Ada", "Eve")
        url, token = f"ws{site.url.removeprefix('http')}/v1/socket", await eve.rest.token()
        one = st.tuples(messages(codec), st.just(False) | st.booleans())

        @examples(10, Phase.generate)
        @given(st.lists(one, min_size=1, max_size=4))
        def anything(said: list[tuple[bytes, bool]]) -> None:
            talk(url, codec, token, said)

        async with connect_client(site.url, await ada.rest.token()) as other:
            for odd in odd_messages(codec):
                await asyncio.to_thread(talk, url, codec, token, [(odd, False)])
            await asyncio.to_thread(anything)
            await other.send(frame="query", id="q", name="auth.sessions", data={})
            assert (await other.answer("q"))["frame"] == "reply"

    said = capsys.readouterr().out
    assert not [line for line in said.splitlines() if any(crash in line for crash in CRASHES)]


@pytest.mark.parametrize(
    ("flood", "code"),
    [
        (frame(b"", 0x9) * 5_000, 4004),
        (frame(b"", 0xA) * 5_000, 4004),
        (frame(b"", 0x1, final=False) + frame(b"", 0x0, final=False) * 5_000, 1009),
        (frame(b"x" * 126)[:1] + b"\xff" + (2**40).to_bytes(8, "big") + b"\x00" * 4, 1009),
        (b"\x81\x02{}", 1002),
        (b"\xc1\x82\x00\x00\x00\x00{}", 1002),
        (b"\x09\x80\x00\x00\x00\x00", 1002),
        (frame(b"", 0x0), 1002),
        (b"\x83\x80\x00\x00\x00\x00", 1002),
    ],
    ids=["pings", "pongs", "fragments", "huge", "unmasked", "compressed", "cut ping", "no beginning", "unknown opcode"],
)
async def test_a_flood_or_a_protocol_violation_is_closed_with_its_code(server: Site, flood: bytes, code: int) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"GET /v1/socket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        b"Sec-WebSocket-Protocol: guildwire.v1.json\r\n\r\n" + flood
    )
    answer, rest = b"", b""
    async with asyncio.timeout(TIMEOUT_S):
        with suppress(ConnectionResetError):
            answer = await reader.readuntil(b"\r\n\r\n")
            while code.to_bytes(2, "big") not in rest and (chunk := await reader.read(65_536)):
                rest += chunk
    assert answer.startswith(b"HTTP/1.1 101")
    assert code.to_bytes(2, "big") in rest
    writer.transport.abort()
    assert (await server.request("GET", "/health")).status == 200
