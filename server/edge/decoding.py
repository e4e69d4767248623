"""Decodes bodies, query strings and path parameters into declared structs; every error names its field.

Malformed  400  not JSON, not UTF-8, nested too deep
Invalid    422  JSON of the wrong shape; ``fields`` maps a path to ``missing``, ``unknown_field``, ``wrong_type`` …
"""

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl, unquote

import msgspec
from msgspec import NODEFAULT, DecodeError, Struct, ValidationError
from msgspec.structs import FieldInfo, fields

from protocol.errors import Malformed, Rejected
from protocol.registry import Route, Wire
from server.edge.guards import TEXT_PROBLEMS, Unfit, check, invalid, join
from server.edge.limits import COMMAND_ID_MAX, QUERY_FIELDS_MAX
from server.edge.problem_codes import as_invalid
from server.edge.reading import read

#: Path parameters by position, still percent-encoded.
Params = tuple[str, ...]
T = TypeVar("T")

#: A decoder of JSON, or of MessagePack.
Decoder = msgspec.json.Decoder[T] | msgspec.msgpack.Decoder[T]

_decode_json = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_NOT_FROM_TEXT = (msgspec.inspect.IntType, msgspec.inspect.FloatType, msgspec.inspect.BoolType)
_JSON_SPACE = b" \t\r\n"

_LIST_TYPES = (
    msgspec.inspect.ListType,
    msgspec.inspect.SetType,
    msgspec.inspect.FrozenSetType,
    msgspec.inspect.VarTupleType,
    msgspec.inspect.TupleType,
)


def decode_body(decoder: Decoder[T], body: bytes, prefix: str = "", ignored: frozenset[str] = frozenset()) -> T:
    """Decode a body, check it, and bring its texts to their normal form. Raises: Malformed, Invalid.

    Args:
        prefix: is put before the paths of errors.
        ignored: fields that the type does not have and that are skipped.
    """
    try:
        try:
            value = decoder.decode(body)
            check(value)
        except (Unfit, ValidationError) as problem:
            plain = _plain(decoder, body, problem, prefix)
            return cast(T, read(plain, decoder.type, prefix=prefix, ignored=ignored))
    except DecodeError as error:
        raise _diagnosis(body, str(error), prefix) from None
    except UnicodeDecodeError:
        raise Malformed(reason="not_utf8") from None
    except RecursionError:
        raise Malformed(reason="too_deep") from None
    return value


def _plain(decoder: Decoder[Any], body: bytes, problem: Unfit | ValidationError, prefix: str) -> Any:
    """Decode a body without its type; where that fails, at a number or at the depth, the known problem has to do."""
    try:
        return (_decode_json if isinstance(decoder, msgspec.json.Decoder) else msgspec.msgpack.decode)(body)
    except (DecodeError, RecursionError):
        if isinstance(problem, ValidationError):
            raise as_invalid(problem, prefix) from None
        raise


def _diagnosis(body: bytes, message: str, prefix: str) -> Rejected:
    """Distinguish invalid text in JSON (a lone surrogate, a raw control character) from what is not JSON at all."""
    try:
        check(json.loads(body, strict=False))
    except Unfit as unfit:
        if unfit.problem in TEXT_PROBLEMS:
            return invalid({join(prefix, unfit.path): unfit.problem})
    except (ValueError, RecursionError):
        pass
    error = Malformed(reason="not_json")
    error.add_note(message)
    return error


# Structs


class BodyDecoder:
    """Makes the declared struct of one route from a JSON body and the path's parameters.

    Without parameters the body is decoded straight into the struct. Otherwise the parameters are first appended to the
    body's members: the last member of a name counts, so a body cannot override its URL.

    Args:
        ignored: fields that the struct does not have and that are skipped.
    """

    def __init__(self, declared: type[Struct], route: Route, ignored: frozenset[str] = frozenset()) -> None:
        self.target: type[Struct] = route.wire or declared
        self._ignored = ignored
        self._params = _param_writers(self.target, route)
        #: The struct without the path's parameters.
        self.body: type[Struct] = _without(self.target, frozenset(route.params)) if self._params else self.target
        self._decoder = msgspec.json.Decoder(self.target)
        self._alone = msgspec.json.Decoder(self.body)

    def __call__(self, body: bytes, params: Params, prefix: str = "") -> Any:
        """Raises: Malformed, Invalid."""
        if not self._params:
            return _unwired(decode_body(self._decoder, body, prefix, self._ignored))
        for name, _ in self._params:
            if name in body:
                # It may only be part of a text: the struct without parameters refuses it as a member.
                decode_body(self._alone, body, prefix, self._ignored)
        try:
            value = decode_body(self._decoder, self._completed(body, params), prefix, self._ignored)
        except Rejected:
            # Errors in the body itself come first.
            decode_body(self._alone, body, prefix, self._ignored)
            raise
        return _unwired(value)

    def _completed(self, body: bytes, params: Params) -> bytes:
        """Append the path's parameters to the members of the body's object."""
        body = body.rstrip(_JSON_SPACE)
        if not body.endswith(b"}"):
            return body
        added = b""
        for (name, write), raw in zip(self._params, params, strict=True):
            added += b"," + name + b":" + write(raw)
        head = body[:-1].rstrip(_JSON_SPACE)
        return head + (added[1:] if head.endswith(b"{") else added) + b"}"


class QueryDecoder:
    """Makes the declared struct of one route from a query string and the path's parameters.

    A field without a value counts as absent. A field that the struct does not have is ignored: links collect some on
    their way, such as ``utm_source``.
    """

    def __init__(self, declared: type[Struct], route: Route) -> None:
        self.target: type[Struct] = route.wire or declared
        self._params = tuple(_wire_names(self.target)[name] for name in route.params)
        self._attributes = {info.encode_name: info.name for info in fields(self.target)}
        self._lists = frozenset(f.encode_name for f in fields(self.target) if _is_list(f.type))

    def __call__(self, query_string: str, params: Params) -> Any:
        """Raises: Malformed, Invalid."""
        values: dict[str, Any] = {}
        if query_string:
            self._gather(query_string, values)
        for name, raw in zip(self._params, params, strict=True):
            if name in values:
                raise invalid({name: "unknown_field"})
            values[name] = unescaped(raw)
        try:
            value = msgspec.convert(values, self.target, strict=False)
            check(value)
        except (Unfit, ValidationError):
            value = read(values, self.target, strict=False)
        for name in values:
            if (
                getattr(value, self._attributes[name]) is None
            ):  # the text "null": in a URL, null is only expressed by leaving out
                raise invalid({name: "bad_format"})
        return _unwired(value)

    def _gather(self, query_string: str, values: dict[str, Any]) -> None:
        try:
            pairs = parse_qsl(query_string, keep_blank_values=True, errors="strict", max_num_fields=QUERY_FIELDS_MAX)
        except UnicodeDecodeError:
            raise Malformed(reason="not_utf8") from None
        except ValueError:
            raise invalid({"query": "too_long"}) from None
        for name, value in pairs:
            if not value.strip() or name not in self._attributes:
                continue
            if name in self._lists:
                values.setdefault(name, []).append(value)
            elif name in values:
                raise invalid({name: "repeated"})
            else:
                values[name] = value


def unescaped(raw: str) -> str:
    """Percent-decode one path segment. Raises: Malformed."""
    if "%" not in raw:
        return raw
    try:
        return unquote(raw, errors="strict")
    except UnicodeDecodeError:
        raise Malformed(reason="not_utf8") from None


def _param_writers(target: type[Struct], route: Route) -> list[tuple[bytes, Callable[[str], bytes]]]:
    """Each parameter's name in JSON, and the function that turns its text in the URL into JSON."""
    known = {info.name: info for info in fields(target)}
    for name in route.params:
        assert name in known, f"{route.method} {route.path}: {target.__name__} has no field {name}"
    infos = [known[name] for name in route.params]
    return [(msgspec.json.encode(info.encode_name), _param_writer(info)) for info in infos]


def _param_writer(info: FieldInfo) -> Callable[[str], bytes]:
    """Most types, such as ids, are decoded from a JSON string; numbers and booleans are not."""
    if not isinstance(msgspec.inspect.type_info(info.type), _NOT_FROM_TEXT):
        return lambda raw: _encode(raw if "%" not in raw else unescaped(raw))

    def write(raw: str) -> bytes:
        try:
            return _encode(msgspec.convert(unescaped(raw), info.type, strict=False))
        except ValidationError as error:
            raise as_invalid(error, info.encode_name) from None

    return write


@cache
def _without(target: type[Struct], names: frozenset[str]) -> type[Struct]:
    """The struct without some of its fields, just as strict."""
    kept = [info for info in fields(target) if info.name not in names]
    return msgspec.defstruct(
        f"{target.__name__}Body",
        [_definition(info) for info in kept],
        module=target.__module__,
        namespace={"__doc__": target.__doc__},
        kw_only=True,
        frozen=True,
        forbid_unknown_fields=True,
        rename={info.name: info.encode_name for info in kept},
    )


def _definition(info: FieldInfo) -> tuple[str, Any] | tuple[str, Any, Any]:
    if info.default_factory is not NODEFAULT:
        return info.name, info.type, msgspec.field(default_factory=info.default_factory)
    if info.default is not NODEFAULT:
        return info.name, info.type, info.default
    return info.name, info.type


def _unwired(value: Any) -> Any:
    """Convert an app's own wire struct into the declared one, which may refuse it too. Raises: Invalid."""
    if not isinstance(value, Wire):
        return value
    try:
        return value.to_command()
    except (ValueError, TypeError) as error:
        raise invalid({"body": str(getattr(error, "code", "invalid"))}, note=str(error)) from None


def _wire_names(target: type[Struct]) -> Mapping[str, str]:
    return {info.name: info.encode_name for info in fields(target)}


def _is_list(kind: Any) -> bool:
    info = msgspec.inspect.type_info(kind)
    kinds = info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)
    return any(isinstance(kind, _LIST_TYPES) for kind in kinds)


# Headers


def command_id(text: str | None, name: str = "Idempotency-Key") -> str | None:
    """Check a command id chosen by the client: 1 to 128 visible ASCII characters. Raises: Invalid."""
    if text is not None and not is_token(text, COMMAND_ID_MAX):
        raise invalid({name: "bad_format"}, note=f"1 to {COMMAND_ID_MAX} visible ASCII characters")
    return text


def is_token(text: str, length_max: int) -> bool:
    """Whether the text is within the length and consists of visible ASCII only."""
    return 0 < len(text) <= length_max and text.isascii() and text.isprintable() and " " not in text
