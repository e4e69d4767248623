"""The wire is kept: every frame and close code is as the golden files say, which change only on purpose.

``python -m tests.contract.test_golden_frames`` writes them anew; what changed is then to be read in the diff.
"""

import json
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import msgspec
import pytest
from msgspec import Raw, Struct

from protocol.errors import LimitReached
from protocol.frames import (
    Ack,
    AckState,
    Bye,
    CloseCode,
    CommandFrame,
    EventFrame,
    Hello,
    Inbound,
    NotAFrame,
    OpenOutcome,
    Ping,
    Pong,
    QueryFrame,
    Refresh,
    ReplyFrame,
    ServerFrame,
    Signal,
    SignalState,
    Subscribe,
    Unsubscribe,
    Welcome,
)
from protocol.ids import Kind, Ref, UserId
from server.live.connection.codec import JSON, MSGPACK
from server.live.connection.event_stream import SseCodec
from server.live.hub.rendering import render_ephemeral
from server.live.limits import Limits
from server.live.session.requests import announced_limits, error_frame
from tests.support.session import UNLIMITED


class Text(msgspec.Struct, forbid_unknown_fields=True):
    """What the sample frames carry."""

    text: str


GOLDEN = Path(__file__).parent / "golden" / "frames"
ENTITY = Ref(Kind.CONVERSATION, UUID("01890000-0000-7000-8000-0000000000c0"))
ADA = UserId(UUID("01890000-0000-7000-8000-00000000000a"))
AT = datetime(2026, 3, 29, 9, 30, 0, 250_000, tzinfo=UTC)
DATA = Raw(b'{"text":"Gr\xc3\xbc\xc3\x9fe"}')

INBOUND: dict[str, Inbound] = {
    "hello": Hello(token="eyJ.x.y", since="9f2c11aa04be:41", device="phone-1"),
    "hello_bare": Hello(token="eyJ.x.y"),
    "command": CommandFrame(id="c-1", name="conversation.post", to=ENTITY.id, if_version=3, data=DATA),
    "query": QueryFrame(id="q-1", name="conversation.messages", data=DATA),
    "subscribe": Subscribe(id="s-1", topic=f"typing/{ENTITY.id}"),
    "unsubscribe": Unsubscribe(id="s-2", topic=f"presence/{ADA}"),
    "signal": Signal(topic=f"typing/{ENTITY.id}", state=SignalState.TYPING),
    "ack": Ack(seq=41, state=AckState.SEEN),
    "refresh": Refresh(token="eyJ.x.z", id="r-1"),
    "ping": Ping(),
    "pong": Pong(),
}

OUTBOUND: dict[str, bytes] = {
    "welcome": JSON.encode(
        Welcome(
            session=UUID("01890000-0000-7000-8000-000000000001"),
            user=ADA,
            epoch="9f2c11aa04be",
            seq=41,
            outcome=OpenOutcome.RESUMED,
            heartbeat_s=25.0,
            limits=announced_limits(Limits(), UNLIMITED),
        )
    ),
    "reply": JSON.reply("c-1", b'{"message_id":"m"}', 7, 42, True),
    "reply_bare": JSON.reply("c-1", b"{}", 7, None, False),
    "reply_to_query": JSON.encode(ReplyFrame(id="q-1", data={"items": []})),
    "error": JSON.encode(error_frame("c-1", LimitReached(limit="in_flight", retry_after_s=0.2))),
    "error_of_session": JSON.encode(error_frame(None, LimitReached(limit="in_flight"))),
    "event": JSON.encode(
        EventFrame(
            seq=42, type="message.posted", entity=str(ENTITY), version=7, at=AT, cause="c-1", data={"content": None}
        )
    ),
    "event_redacted": JSON.encode(
        EventFrame(
            seq=43, type="message.posted", entity=str(ENTITY), version=8, at=AT, cause="c-2", data={"redacted": True}
        )
    ),
    "event_ephemeral": JSON.event(
        None, JSON.body(render_ephemeral("conversation.typing", ENTITY, AT, {"user_id": ADA, "state": "typing"}))
    ),
    "bye": JSON.encode(Bye(code=CloseCode.SHUTDOWN, reason="shutdown", reconnect=True, after_s=1.5)),
    "ping": JSON.encode(Ping()),
    "pong": JSON.encode(Pong()),
}

SSE = SseCodec("9f2c11aa04be")
EVENT = (
    b'{"type":"message.posted","entity":"%b","version":7,"at":"2026-03-29T09:30:00.250000Z","cause":"c-1","data":{}}'
)


def _welcome(outcome: OpenOutcome) -> Welcome:
    welcome = msgspec.json.decode(OUTBOUND["welcome"], type=Welcome)
    return msgspec.structs.replace(welcome, outcome=outcome, limits=announced_limits(Limits(pong_s=inf), UNLIMITED))


#: What an event stream says, as it goes over the line.
STREAMED: dict[str, bytes] = {
    "welcome_fresh": SSE.encode(_welcome(OpenOutcome.FRESH)),
    "welcome_resumed": SSE.encode(_welcome(OpenOutcome.RESUMED)),
    "welcome_reset": SSE.encode(_welcome(OpenOutcome.RESET)),
    "event": SSE.event(42, SSE.body(EVENT % str(ENTITY).encode())),
    "error": SSE.encode(error_frame(None, LimitReached(limit="in_flight"))),
    "bye": SSE.encode(Bye(code=CloseCode.SHUTDOWN, reason="shutdown", reconnect=True, after_s=1.5)),
    "bye_for_good": SSE.encode(Bye(code=CloseCode.REVOKED, reason="revoked", reconnect=False, after_s=0.0)),
    "heartbeat": SSE.encode(Ping()),
}


def golden(name: str) -> bytes:
    return (GOLDEN / f"{name}.json").read_bytes().rstrip(b"\n")


@pytest.mark.parametrize("name", INBOUND)
def test_a_clients_frame_is_read_as_it_always_was(name: str) -> None:
    frame, expected = JSON.decode(golden(f"in_{name}")), INBOUND[name]

    assert type(frame) is type(expected)
    assert _comparable(frame) == _comparable(expected)


@pytest.mark.parametrize("name", INBOUND)
def test_unknown_fields_of_a_clients_frame_are_refused(name: str) -> None:
    frame = {**json.loads(golden(f"in_{name}")), "colour": "red"}

    with pytest.raises(NotAFrame) as refused:
        JSON.decode(msgspec.json.encode(frame))

    assert refused.value.fields == {"colour": "unknown_field"}


@pytest.mark.parametrize("name", OUTBOUND)
def test_a_servers_frame_is_written_as_it_always_was(name: str) -> None:
    assert OUTBOUND[name] == golden(f"out_{name}")


@pytest.mark.parametrize("name", STREAMED)
def test_an_event_stream_is_written_as_it_always_was(name: str) -> None:
    assert STREAMED[name] == (GOLDEN / f"sse_{name}.txt").read_bytes()


def test_an_event_stream_says_the_frames_of_the_socket() -> None:
    for name, text in STREAMED.items():
        data = [line.removeprefix(b"data: ") for line in text.split(b"\n") if line.startswith(b"data: ")]
        assert text.endswith(b"\n\n"), name
        assert b"\r" not in text
        if name != "heartbeat":
            (frame,) = data
            assert msgspec.json.decode(frame)["frame"] == name.partition("_")[0]


def test_every_golden_stream_is_proved() -> None:
    assert {path.name for path in GOLDEN.glob("*.txt")} == {f"sse_{name}.txt" for name in STREAMED}


def test_every_frame_has_a_golden_file() -> None:
    read = {type(frame) for frame in INBOUND.values()}
    written = {json.loads(data)["frame"] for data in OUTBOUND.values()}
    sent: list[type[Struct]] = [*ServerFrame.__subclasses__(), Ping, Pong]

    assert read == set(get_args(Inbound))
    assert written == {cls.__struct_config__.tag for cls in sent}
    assert {path.stem for path in GOLDEN.glob("*.json")} == {
        "close_codes",
        *(f"in_{name}" for name in INBOUND),
        *(f"out_{name}" for name in OUTBOUND),
    }


def test_close_codes_are_kept() -> None:
    assert _close_codes() == json.loads(golden("close_codes"))


def test_the_documentation_has_every_close_code() -> None:
    table = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()

    for code in CloseCode:
        assert f"| {code.value} | `{code.reason}` | {'yes' if code.reconnect else 'no'} | {code.advice} |" in table


def test_an_event_built_from_parts_is_the_event_of_the_struct() -> None:
    event = EventFrame(seq=42, type="a.b", entity=str(ENTITY), version=7, at=AT, cause="c", data=DATA)
    body = b'{"type":"a.b","entity":"%s","version":7,"at":"2026-03-29T09:30:00.250000Z","cause":"c","data":%s}' % (
        str(ENTITY).encode(),
        bytes(DATA),
    )

    assert JSON.event(42, JSON.body(body)) == JSON.encode(event)


@pytest.mark.parametrize("name", INBOUND)
def test_messagepack_reads_the_same_as_json(name: str) -> None:
    packed = msgspec.msgpack.encode(json.loads(golden(f"in_{name}")))

    frame, expected = MSGPACK.decode(packed), INBOUND[name]

    assert type(frame) is type(expected)
    if isinstance(frame, CommandFrame | QueryFrame):
        assert MSGPACK.decode_data(frame.data, Text) == Text(text="Grüße")
    else:
        assert frame == expected


def test_messagepack_writes_the_same_as_json() -> None:
    body = b'{"type":"a.b","entity":"user/x","at":"2026-03-29T09:30:00Z","data":{"n":[1,null,"x"]}}'
    written = [
        [
            codec.encode(Ping()),
            codec.encode(error_frame("c", LimitReached(limit="x"))),
            codec.reply("c", b'{"a":1}', 7, 42, True),
            codec.event(2**40, codec.body(body)),
            codec.event(None, codec.body(body)),
        ]
        for codec in (JSON, MSGPACK)
    ]

    assert [msgspec.json.decode(data) for data in written[0]] == [msgspec.msgpack.decode(data) for data in written[1]]


def _comparable(frame: Any) -> dict[str, Any]:
    fields = msgspec.structs.asdict(frame)
    return {name: bytes(value) if isinstance(value, Raw) else value for name, value in fields.items()}


def _close_codes() -> dict[str, Any]:
    return {str(code.value): {"reason": code.reason, "reconnect": code.reconnect} for code in CloseCode}


def _write() -> None:
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for path in (*GOLDEN.glob("*.json"), *GOLDEN.glob("*.txt")):
        path.unlink()
    for name, frame in INBOUND.items():
        (GOLDEN / f"in_{name}.json").write_bytes(msgspec.json.encode(frame) + b"\n")
    for name, data in OUTBOUND.items():
        (GOLDEN / f"out_{name}.json").write_bytes(data + b"\n")
    for name, data in STREAMED.items():
        (GOLDEN / f"sse_{name}.txt").write_bytes(data)
    (GOLDEN / "close_codes.json").write_text(json.dumps(_close_codes(), indent=2) + "\n")


if __name__ == "__main__":
    _write()
