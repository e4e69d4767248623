"""Codecs: encode and decode frames, one object for each subprotocol.

Internally everything is JSON: replies come from the command log as JSON, and an event's body is encoded as JSON once.
The codec of another format transcodes here, a body once for all of its readers.
"""

from collections.abc import Callable
from typing import Annotated, Any, Protocol, TypeVar

import msgspec
from msgspec import DecodeError, Meta, Raw, Struct, ValidationError

from protocol.errors import Invalid, Malformed
from protocol.frames import (
    SUBPROTOCOL_JSON,
    SUBPROTOCOL_MSGPACK,
    Inbound,
    NotAFrame,
    Ping,
    Pong,
    ReplyFrame,
    ServerFrame,
    Undecodable,
)
from server.edge.decoding import Decoder, decode_body
from server.edge.guards import Unfit, check, invalid
from server.edge.limits import COMMAND_ID_MAX
from server.edge.problem_codes import as_invalid
from server.edge.reading import read

S = TypeVar("S", bound=Struct)

TEXT, BINARY = 0x1, 0x2


class Codec(Protocol):
    """Encodes and decodes the frames of one subprotocol."""

    #: In metrics.
    name: str
    subprotocol: str
    #: The WebSocket opcode of its messages.
    opcode: int

    def decode(self, data: bytes) -> Inbound:
        """Decode a frame. Raises: Undecodable, NotAFrame."""
        ...

    def decode_data(self, data: Raw, into: type[S]) -> S:
        """Decode the data of a frame. Raises: Invalid, Malformed."""
        ...

    def decode_addressed(self, data: Raw, into: type[S], key: str, address: str) -> S:
        """Decode the data of a frame that gives one field itself, in ``to``. Raises: Invalid, Malformed."""
        ...

    def encode(self, frame: ServerFrame | Ping | Pong) -> bytes:
        """Encode a frame."""
        ...

    def reply(self, frame_id: str, data: bytes, version: int, seq: int | None, replayed: bool) -> bytes:
        """Encode the reply to a command; ``data`` is JSON."""
        ...

    def body(self, body: bytes) -> bytes:
        """Convert an event's body, a JSON object of all fields after ``seq``, to the argument of ``event``."""
        ...

    def event(self, seq: int | None, body: bytes) -> bytes:
        """Encode an event frame around a body; ephemeral events have no number."""
        ...


class _FrameId(Struct):
    """The id of an invalid frame, for the error; an id that is too long is left out."""

    id: Annotated[str, Meta(max_length=COMMAND_ID_MAX)] | None = None


class _Decoding:
    """Decodes frames and their data, with one msgspec decoder for each type.

    Args:
        empty: an object without fields.
        reason: the error's reason for bytes that are not of the format.
    """

    def __init__(self, decoder: Callable[[Any], Any], empty: bytes, reason: str) -> None:
        self._decoder = decoder
        self._empty = empty
        self._reason = reason
        self._frames = decoder(Inbound).decode
        self._frame_id = decoder(_FrameId).decode
        self._fields = decoder(dict[str, Any])
        self._data: dict[type[Struct], Decoder[Any]] = {}

    def decode(self, data: bytes) -> Inbound:
        """Decode a frame. Raises: Undecodable, NotAFrame."""
        try:
            frame: Inbound = self._frames(data)
        except ValidationError as error:
            raise NotAFrame(self._id_of(data), as_invalid(error).fields) from error
        except (DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Undecodable(str(error)) from error
        return frame

    def decode_data(self, data: Raw, into: type[S]) -> S:
        """Decode the data of a frame. Raises: Invalid, Malformed."""
        decoder = self._data.get(into)
        if decoder is None:
            decoder = self._data[into] = self._decoder(into)
        found: S = self._read(decoder, data)
        return found

    def decode_addressed(self, data: Raw, into: type[S], key: str, address: str) -> S:
        """Decode the data of a frame that gives one field itself, in ``to``. Raises: Invalid, Malformed."""
        try:
            fields = self._read(self._fields, data)
        except Invalid:
            self.decode_data(data, into)  # knows the fields, and names the one that is wrong
            raise
        if fields.setdefault(key, address) != address:
            raise invalid({f"data.{key}": "mismatch"})
        try:
            found = msgspec.convert(fields, into)
            check(found)
        except (Unfit, ValidationError):
            found = read(fields, into, prefix="data")
        return found

    def _read(self, decoder: Decoder[Any], data: Raw) -> Any:
        try:
            return decode_body(decoder, bytes(data) if data else self._empty, "data")
        except Malformed as error:
            if error.fields["reason"] == "not_json":
                error.fields["reason"] = self._reason
            raise

    def _id_of(self, data: bytes) -> str | None:
        try:
            found: _FrameId = self._frame_id(data)
        except (DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return found.id


class JsonCodec(_Decoding):
    """``guildwire.v1.json``: text messages, one JSON object each."""

    name = "json"
    subprotocol = SUBPROTOCOL_JSON
    opcode = TEXT

    def __init__(self) -> None:
        super().__init__(msgspec.json.Decoder, b"{}", "not_json")
        self._encode = msgspec.json.Encoder().encode

    def encode(self, frame: ServerFrame | Ping | Pong) -> bytes:
        """Encode a frame."""
        return self._encode(frame)

    def reply(self, frame_id: str, data: bytes, version: int, seq: int | None, replayed: bool) -> bytes:
        """Encode the reply to a command; ``data`` is JSON."""
        return self._encode(ReplyFrame(id=frame_id, data=Raw(data), version=version, seq=seq, replayed=replayed))

    def body(self, body: bytes) -> bytes:
        """Without the opening brace."""
        return body[1:]

    def event(self, seq: int | None, body: bytes) -> bytes:
        """Encode an event frame around a body."""
        return b'{"frame":"event",' + body if seq is None else b'{"frame":"event","seq":%d,%b' % (seq, body)


class MsgpackCodec(_Decoding):
    """``guildwire.v1.msgpack``: binary messages, one MessagePack map each, with the fields and values of JSON."""

    name = "msgpack"
    subprotocol = SUBPROTOCOL_MSGPACK
    opcode = BINARY

    def __init__(self) -> None:
        super().__init__(msgspec.msgpack.Decoder, b"\x80", "not_msgpack")

    def encode(self, frame: ServerFrame | Ping | Pong) -> bytes:
        """Encode a frame."""
        return _packed(JSON.encode(frame))

    def reply(self, frame_id: str, data: bytes, version: int, seq: int | None, replayed: bool) -> bytes:
        """Encode the reply to a command; ``data`` is JSON."""
        return _packed(JSON.reply(frame_id, data, version, seq, replayed))

    def body(self, body: bytes) -> bytes:
        """As a MessagePack map, whose first byte holds the number of fields."""
        return _packed(body)

    def event(self, seq: int | None, body: bytes) -> bytes:
        """Encode an event frame around a body."""
        head = {"frame": "event"} if seq is None else {"frame": "event", "seq": seq}
        return bytes((body[0] + len(head),)) + _packed_map(head) + body[1:]


def _packed(data: bytes) -> bytes:
    return msgspec.msgpack.encode(msgspec.json.decode(data))


def _packed_map(fields: dict[str, Any]) -> bytes:
    """The keys and values of a small map, without its header."""
    return msgspec.msgpack.encode(fields)[1:]


JSON, MSGPACK = JsonCodec(), MsgpackCodec()
#: subprotocol → codec.
CODECS: dict[str, Codec] = {codec.subprotocol: codec for codec in (JSON, MSGPACK)}
