"""Malformed and hostile input: hypothesis strategies shared by tests.

``messages(JSON)`` gives raw messages of that subprotocol, from mutated golden frames to noise.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from server.live.connection.codec import JSON, Codec
from tests.support.sizes import TIMES

GOLDEN = Path(__file__).parents[1] / "contract" / "golden" / "frames"
#: One frame of every kind that a client may send.
GOLDEN_FRAMES: list[dict[str, Any]] = [json.loads(path.read_bytes()) for path in sorted(GOLDEN.glob("in_*.json"))]

#: Texts that are known to break programs.
ODD_TEXTS = (
    "",
    "\x00",
    "a\x00b",
    "\x07\x1b[2J",
    "\x85\u2028\u2029",
    "\u202egnp.exe\u202c",
    "\u200b\ufeff",
    "\N{PARTY POPPER}" * 40,
    "e\u0301" * 50,
    "x" * 300,
    "typing/",
    "presence/00000000-0000-0000-0000-00000000000g",
    "../../etc/passwd",
    "' OR 1=1 --",
    "{{7*7}}",
    "1e999999",
    "conversation.post",
    "user.grant_role",
    "no.such",
)
ODD_NUMBERS = (0, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 1e308, -0.0, 0.1)
#: Numbers that MessagePack can hold and JSON cannot.
NO_NUMBERS = (float("nan"), float("inf"), float("-inf"))
DEPTH = 30_000


def examples(count: int, *phases: Phase) -> settings:
    """Settings: always the same examples, unless more are requested; no database of examples."""
    return settings(
        max_examples=count * TIMES,
        derandomize=TIMES == 1,
        database=None,
        deadline=None,
        phases=phases or (Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )


def values(*, packed: bool) -> st.SearchStrategy[Any]:
    """Any value of a field."""
    odd = st.sampled_from([*ODD_TEXTS, *ODD_NUMBERS, None, True, *(NO_NUMBERS if packed else ())])
    texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
    leaves = odd | texts | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=packed, allow_infinity=packed)
    if packed:
        leaves |= st.binary(max_size=20) | st.builds(msgspec.msgpack.Ext, st.integers(0, 127), st.binary(max_size=8))
    keys: st.SearchStrategy[Any] = texts | (st.integers(-9, 9) | st.none() if packed else texts)
    return st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4))


@st.composite
def frames(draw: st.DrawFn, *, packed: bool) -> dict[Any, Any]:
    """A golden frame with some fields changed, removed or added; or a frame of arbitrary values."""
    frame: dict[Any, Any] = dict(draw(st.sampled_from(GOLDEN_FRAMES)))
    anything = values(packed=packed)
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from([*frame, "frame", "id", "data", "to", "extra"]))
        match draw(st.integers(0, 3)):
            case 0:
                frame.pop(name, None)
            case 1 if isinstance(frame.get(name), dict):
                frame[name] = {**frame[name], draw(st.sampled_from(["text", "conversation_id", "x"])): draw(anything)}
            case _:
                frame[name] = draw(anything)
    return frame


@st.composite
def bent(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """The bytes of a valid message with some of them changed, cut off, doubled or inserted."""
    data = bytearray(draw(whole))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.integers(0, 3)):
            case 0:
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=3))
            case 1:
                del data[at:]
            case 2:
                data[at:at] = data[at : at + draw(st.integers(1, 40))]
            case _:
                data[at:at] = draw(st.binary(max_size=6))
    return bytes(data)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=True).encode("utf-8", "surrogatepass")


def _packed(value: Any) -> bytes:
    return msgspec.msgpack.encode(value)


def _command(data: bytes) -> bytes:
    return b'{"frame":"command","id":"deep","name":"conversation.post","data":' + data + b"}"


#: Messages that the generators do not find.
ODD_JSON = (
    b"",
    b" ",
    b"null",
    b"[]",
    b'"ping"',
    b"\xef\xbb\xbf{}",
    b'{"frame":"ping"} {"frame":"ping"}',
    b'{"frame":"ping","frame":"pong"}',
    b'{"frame":"ack","seq":1,"seq":2,"state":"seen"}',
    b'{"frame":"ack","state":"seen","seq":' + b"9" * 60_000 + b"}",
    b'{"frame":"ack","state":"seen","seq":1e999999}',
    b'{"frame":"ack","state":"seen","seq":NaN}',
    b'{"frame":"nope","id":"' + b"i" * 60_000 + b'"}',
    b'{"frame":"ping","' + b"k" * 60_000 + b'":1}',
    b'{"frame":"subscribe","id":"1","topic":"\\u0000"}',
    b'{"frame":"subscribe","id":"1","topic":"\\ud800"}',
    b'{"frame":"ping","\\udfff":1}',
    b'{"frame":"subscribe","id":"1","topic":"\xff\xfe"}',
    b'{"frame":"subscribe","id":"1","topic":"\xed\xa0\x80"}',
    _command(b'{"text":"\\ud83d"}'),
    _command(b'{"text":"\xed\xa0\x80"}'),
    _command(b'{"text":"a\\u0000b"}'),
    _command(b'{"text":"a\x00b"}'),
    _command(b'{"text":NaN}'),
    _command(b'{"text":"a","text":"b"}'),
    _command(b"[" * DEPTH + b"]" * DEPTH),
    _command(b'{"a":' * 8_000 + b"1" + b"}" * 8_000),
    _command(b'{"text":' + b"[" * DEPTH + b"]" * DEPTH + b"}"),
    b'{"frame":"ping","x":' + b"[" * DEPTH + b"]" * DEPTH + b"}",
    b"[" * 2 * DEPTH,
    _command(b'{"conversation_id":"01890000-0000-7000-8000-0000000000c0","text":"' + b"x" * 60_000 + b'"}'),
)
_PACKED_COMMAND = b"\x84\xa5frame\xa7command\xa2id\xa4deep\xa4name\xb1conversation.post\xa4data"
ODD_PACKED = (
    b"",
    b"\xc0",
    b"\x80",
    b"\xc1",
    b"\xd4\x00\x00",
    b"\x81\x80\x01",
    b"\x81\x91\x80\x01",
    b"\x81\xa5frame\xa4ping",
    b"\x82\xa5frame\xa4ping\xa5frame\xa4pong",
    b"\xdf\xff\xff\xff\xff",
    b"\xdd\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xffabc",
    b"\xc9\xff\xff\xff\xff\x01",
    b"\x81\xa5frame\xc4\x04ping",
    b"\x91" * 2 * DEPTH + b"\x01",
    _PACKED_COMMAND + b"\x91" * 2 * DEPTH + b"\x01",
    _PACKED_COMMAND + b"\x81\x80\x01",
    _PACKED_COMMAND + b"\x81\xa4text\x81\x80\x01",
    _PACKED_COMMAND + b"\x81\xa4text\xa3\xed\xa0\x80",
    _PACKED_COMMAND + b"\x81\xa4text\xa2\xff\xfe",
    _PACKED_COMMAND + b"\x81\xa4text\xa1\x00",
    _PACKED_COMMAND + b"\x81\xa4text\xd6\xff\x00\x00\x00\x01",
    _PACKED_COMMAND + b"\x81\xa4text\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",
    _PACKED_COMMAND + b"\x81\xa4text" + b"\x91" * 2 * DEPTH + b"\x01",
    b"\x83\xa5frame\xa3ack\xa5state\xa4seen\xa3seq\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x83\xa5frame\xa3ack\xa5state\xa4seen\xa3seq\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00",
)


def odd_messages(codec: Codec) -> tuple[bytes, ...]:
    """Single messages, each with a test of its own."""
    return ODD_JSON if codec is JSON else ODD_PACKED


def messages(codec: Codec) -> st.SearchStrategy[bytes]:
    """Messages of all kinds in one subprotocol."""
    packed = codec is not JSON
    whole = frames(packed=packed).map(_packed if packed else _json)
    loose = values(packed=packed).map(_packed if packed else _json)
    return st.one_of(whole, whole, bent(whole), loose, st.binary(max_size=200), st.sampled_from(odd_messages(codec)))
