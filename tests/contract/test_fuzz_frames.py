"""Whatever a socket says, it is answered by a typed error that names the field, or closed with a documented code."""

import re
from contextlib import suppress
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import server.app.bootstrap  # noqa: F401  # whatever is served is declared by now
from protocol.errors import ERRORS, Forbidden, Invalid, Malformed, Rejected
from protocol.frames import Ack, CloseCode, CommandFrame, FrameError, Pong, Position, QueryFrame
from protocol.registry import BY_NAME, Mode
from protocol.roles import Principal, Role
from server.edge.limits import COMMAND_ID_MAX
from server.live.connection.codec import JSON, MSGPACK, Codec
from server.live.limits import Limits
from server.live.session.effects import Close, TokenClaims
from server.live.session.requests import decode_command, decode_query
from server.live.session.session import Session, State
from tests.support.malformed_input import examples, messages, odd_messages, values
from tests.support.session import ADA, CUSTOMER, EPOCH, UNLIMITED

pytestmark = pytest.mark.sized
CODECS = pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=["json", "msgpack"])
#: Problems that a field may have, each a code.
CODE = re.compile(r"^[a-z]+(_[a-z]+)*$")
#: Whatever the client calls its fields, an error repeats little of it, and nothing that could not be shown.
FIELD_MAX = 100 + len("data.")
UNSHOWABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
ROLES = [Principal(user_id=ADA, role=role, roles=frozenset({role})) for role in Role]
#: Declared names and their identifying field, so that guesses come through to the decoding.
NAMES = sorted(name for name, declared in BY_NAME.items() if declared.mode is not Mode.PROCEDURE)


def open_session(codec: Codec) -> Session:
    """A session that is open, of a client that is about to go mad."""
    limits = Limits(bad_frames_max=10**9, frames_burst=1e9)
    rates = UNLIMITED
    session = Session(session_id=UUID(int=1), codec=codec, limits=limits, rates=rates, jitter=0.0, now=0.0)
    session.receive(codec_encode(codec, {"frame": "hello", "token": "t"}), 0.0)
    session.authenticated(TokenClaims(CUSTOMER, 900.0))
    session.position_read(Position(EPOCH, 5), 0.0)
    session.to_send.clear()
    session.effects.clear()
    assert session.state is State.OPEN
    return session


def codec_encode(codec: Codec, frame: Any) -> bytes:
    return msgspec.json.encode(frame) if codec is JSON else msgspec.msgpack.encode(frame)


def codec_decode(codec: Codec, data: bytes) -> dict[str, Any]:
    decode = msgspec.json.decode if codec is JSON else msgspec.msgpack.decode
    return decode(data)  # type: ignore[no-any-return]  # frames are objects


def hold(codec: Codec, session: Session, message: bytes) -> None:
    """Hold what a session said and wants to what is documented; only acks and pongs have no answer."""
    assert session.to_send or session.effects or only_tells(codec, message)
    for data in session.to_send:
        frame = codec_decode(codec, data)
        if frame["frame"] == "error":
            hold_error(frame)
        else:
            assert frame["frame"] in ("reply", "pong", "bye")
    closes = [want for want in session.effects if isinstance(want, Close)]
    assert [want.code for want in closes] in ([], [CloseCode.BAD_FRAME])
    assert (session.state is State.CLOSED) == bool(closes)


def only_tells(codec: Codec, message: bytes) -> bool:
    with suppress(FrameError):
        return isinstance(codec.decode(message), Ack | Pong)
    return False


def hold_error(frame: dict[str, Any]) -> None:
    assert frame["code"] in ERRORS
    assert frame["code"] != "internal"
    assert len(frame.get("id") or "") <= COMMAND_ID_MAX
    if frame["code"] == "invalid":
        assert frame["fields"], "an invalid input without a field"
        hold_fields(frame["fields"])


def hold_fields(fields: dict[str, Any]) -> None:
    for path, problem in fields.items():
        assert CODE.match(problem), problem
        assert len(path) <= FIELD_MAX
        assert not UNSHOWABLE.search(path)
        assert "` in `" not in path, "words of the decoder"


@CODECS
@examples(100)
@given(data=st.data())
def test_any_message_is_answered_or_closes(codec: Codec, data: st.DataObject) -> None:
    session = open_session(codec)

    message = data.draw(messages(codec))

    session.receive(message, 1.0)

    hold(codec, session, message)


@pytest.mark.parametrize(
    ("codec", "nth"),
    [(codec, nth) for codec in (JSON, MSGPACK) for nth in range(len(odd_messages(codec)))],
    ids=lambda value: str(value) if isinstance(value, int) else value.subprotocol.rpartition(".")[2],
)
def test_every_odd_message_is_answered_or_closes(codec: Codec, nth: int) -> None:
    session = open_session(codec)

    message = odd_messages(codec)[nth]

    session.receive(message, 1.0)

    hold(codec, session, message)


@CODECS
@examples(50)
@given(data=st.data())
def test_a_session_that_does_not_know_its_user_yet_says_as_little(codec: Codec, data: st.DataObject) -> None:
    limits, rates = Limits(), UNLIMITED
    session = Session(session_id=UUID(int=1), codec=codec, limits=limits, rates=rates, jitter=0.0, now=0.0)

    session.receive(data.draw(messages(codec)), 1.0)

    assert session.state in (State.AUTHENTICATING, State.CLOSED)
    assert [codec_decode(codec, sent)["frame"] for sent in session.to_send] in ([], ["bye"])


@CODECS
@examples(50)
@given(data=st.binary(max_size=400))
def test_any_bytes_are_a_frame_or_none(codec: Codec, data: bytes) -> None:
    with suppress(FrameError):
        codec.decode(data)


@CODECS
@examples(100)
@given(data=st.data())
def test_any_data_of_any_command_is_taken_or_refused_by_field(codec: Codec, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(NAMES))
    declared = BY_NAME[name]
    known = [info.encode_name for info in msgspec.structs.fields(declared.type)]
    fields = st.dictionaries(st.sampled_from([*known, "extra"]), values(packed=codec is MSGPACK), max_size=len(known))
    raw = raw_of(codec, data.draw(fields | values(packed=codec is MSGPACK)))
    principal = data.draw(st.sampled_from(ROLES))
    to = data.draw(st.sampled_from([None, UUID(int=7)]))
    refusal: Rejected | None = None
    try:
        if declared.mode is Mode.COMMAND:
            decode_command(codec, CommandFrame(id="1", name=name, data=raw, to=to), principal)
        else:
            decode_query(codec, QueryFrame(id="1", name=name, data=raw), principal)
    except Rejected as error:
        refusal = error
    if isinstance(refusal, Invalid):
        assert refusal.fields
        hold_fields(refusal.fields)
    elif refusal is not None:
        assert isinstance(refusal, Malformed | Forbidden)
        assert refusal.fields["reason"]


#: A value that fits each sort of type.
SAMPLES: dict[type, Any] = {
    msgspec.inspect.UUIDType: str(UUID(int=7)),
    msgspec.inspect.StrType: "text",
    msgspec.inspect.IntType: 30,
    msgspec.inspect.FloatType: 30,
    msgspec.inspect.DateTimeType: "2026-03-29T09:30:00Z",
    msgspec.inspect.BytesType: b"none",
}


def sample(kind: Any) -> Any:
    """A value that fits a type: the example that is described with it, or the first that comes to mind."""
    match kind:
        case msgspec.inspect.Metadata(type=inner, extra_json_schema=described):
            return described["examples"][0] if described and "examples" in described else sample(inner)
        case msgspec.inspect.EnumType(cls=enum):
            return next(iter(enum)).value
        case msgspec.inspect.VarTupleType(item_type=item):
            return [sample(item)]
        case msgspec.inspect.UnionType(types=kinds):
            return sample(kinds[0])
    return SAMPLES[type(kind)]


def fitting(declared: type[msgspec.Struct]) -> dict[str, Any]:
    """Values for the fields that must be there."""
    required = [info for info in msgspec.structs.fields(declared) if info.required]
    return {info.encode_name: sample(msgspec.inspect.type_info(info.type)) for info in required}


def is_text(kind: Any) -> bool:
    info = msgspec.inspect.type_info(kind)
    if isinstance(info, msgspec.inspect.Metadata):
        info = info.type
    kinds = info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)
    return any(
        isinstance(one, msgspec.inspect.StrType) and not one.pattern and (one.min_length or 0) < 2 for one in kinds
    )


#: Every free text of a command or query.
TEXT_FIELDS = [
    (name, info.encode_name)
    for name in NAMES
    for info in msgspec.structs.fields(BY_NAME[name].type)
    if is_text(info.type)
]


def test_there_is_free_text() -> None:
    assert ("conversation.post", "text") in TEXT_FIELDS
    assert len(TEXT_FIELDS) > 10


@CODECS
@pytest.mark.parametrize(("name", "field"), TEXT_FIELDS)
def test_no_free_text_takes_what_cannot_be_shown(codec: Codec, name: str, field: str) -> None:
    declared = BY_NAME[name].type
    for text in ("a\x00b", "\x1b[2J", "\x85"):
        with pytest.raises(Invalid) as refused:
            codec.decode_data(raw_of(codec, {**fitting(declared), field: text}), declared)
        assert refused.value.fields == {f"data.{field}": "control_character"}, text


@CODECS
@pytest.mark.parametrize(("name", "field"), TEXT_FIELDS)
def test_free_text_takes_all_that_the_world_writes(codec: Codec, name: str, field: str) -> None:
    declared = BY_NAME[name].type
    for text in ("\N{PARTY POPPER}", "\u05e9\u200f", "e\u0301", "\u65e5\u672c"):
        codec.decode_data(raw_of(codec, {**fitting(declared), field: text}), declared)


def raw_of(codec: Codec, data: Any) -> msgspec.Raw:
    return msgspec.Raw(codec_encode(codec, data))
