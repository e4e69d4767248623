"""Codecs: how frames become bytes, one object for each subprotocol.

Inside, everything is JSON: replies come from the command log as JSON, and an event's body is encoded as JSON once. A
codec that speaks something else transcodes at this edge, a body once for all of its readers.
"""

from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import DecodeError, Raw, Struct, ValidationError

from protocol.frames import SUBPROTOCOL_JSON, Inbound, NotAFrame, Ping, Pong, ReplyFrame, ServerFrame, Undecodable
from server.http.decoding import decode_json, misfit
from server.http.guards import guard, invalid

S = TypeVar("S", bound=Struct)

TEXT = 0x1
NOTHING = b"{}"


class Codec(Protocol):
    """One subprotocol's way to write frames."""

    subprotocol: str
    #: The WebSocket opcode of its messages.
    opcode: int

    def decode(self, data: bytes) -> Inbound:
        """Read a frame. Raises: Undecodable, NotAFrame."""
        ...

    def decode_data(self, data: Raw, into: type[S]) -> S:
        """Read what a frame carries. Raises: Invalid, Malformed."""
        ...

    def decode_addressed(self, data: Raw, into: type[S], key: str, address: str) -> S:
        """Read what a frame carries, with one field given by the frame itself. Raises: Invalid, Malformed."""
        ...

    def encode(self, frame: ServerFrame | Ping | Pong) -> bytes:
        """Write a frame."""
        ...

    def reply(self, frame_id: str, data: bytes, version: int, seq: int | None, replayed: bool) -> bytes:
        """Write the reply to a command; ``data`` is JSON."""
        ...

    def body(self, body: bytes) -> bytes:
        """Turn an event's body (JSON: an object of every field behind ``seq``) into what ``event`` takes."""
        ...

    def event(self, seq: int | None, body: bytes) -> bytes:
        """Write an event frame around a body; ephemeral ones have no number."""
        ...


class _Answerable(Struct):
    """As much of a wrong frame as is needed to answer it."""

    id: str | None = None


class JsonCodec:
    """``guildwire.v1.json``: text messages, one JSON object each."""

    subprotocol = SUBPROTOCOL_JSON
    opcode = TEXT

    def __init__(self) -> None:
        self._frames: msgspec.json.Decoder[Inbound] = msgspec.json.Decoder(Inbound)
        self._answerable = msgspec.json.Decoder(_Answerable)
        self._fields: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])
        self._decoders: dict[type[Struct], msgspec.json.Decoder[Any]] = {}
        self._encode = msgspec.json.Encoder().encode

    def decode(self, data: bytes) -> Inbound:
        """Read a frame. Raises: Undecodable, NotAFrame."""
        try:
            return self._frames.decode(data)
        except ValidationError as error:
            raise NotAFrame(self._id_of(data), misfit(error).fields) from error
        except (DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Undecodable(str(error)) from error

    def decode_data(self, data: Raw, into: type[S]) -> S:
        """Read what a frame carries. Raises: Invalid, Malformed."""
        decoder = self._decoders.get(into)
        if decoder is None:
            decoder = self._decoders[into] = msgspec.json.Decoder(into)
        found: S = decode_json(decoder.decode, bytes(data) if data else NOTHING, "data")
        return found

    def decode_addressed(self, data: Raw, into: type[S], key: str, address: str) -> S:
        """Read what a frame carries, with one field given by the frame itself. Raises: Invalid, Malformed."""
        fields = decode_json(self._fields.decode, bytes(data) if data else NOTHING, "data")
        if fields.setdefault(key, address) != address:
            raise invalid({f"data.{key}": "mismatch"})
        try:
            found = msgspec.convert(fields, into)
        except ValidationError as error:
            raise misfit(error, "data") from None
        guard(found, "data")
        return found

    def encode(self, frame: ServerFrame | Ping | Pong) -> bytes:
        """Write a frame."""
        return self._encode(frame)

    def reply(self, frame_id: str, data: bytes, version: int, seq: int | None, replayed: bool) -> bytes:
        """Write the reply to a command; ``data`` is JSON."""
        return self._encode(ReplyFrame(id=frame_id, data=Raw(data), version=version, seq=seq, replayed=replayed))

    def body(self, body: bytes) -> bytes:
        """The same, without the opening brace."""
        return body[1:]

    def event(self, seq: int | None, body: bytes) -> bytes:
        """Write an event frame around a body."""
        return b'{"frame":"event",' + body if seq is None else b'{"frame":"event","seq":%d,%b' % (seq, body)

    def _id_of(self, data: bytes) -> str | None:
        try:
            return self._answerable.decode(data).id
        except (DecodeError, UnicodeDecodeError, RecursionError):
            return None


JSON = JsonCodec()
#: subprotocol → codec.
CODECS: dict[str, Codec] = {codec.subprotocol: codec for codec in (JSON,)}
