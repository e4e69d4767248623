"""Decoding any bytes into declared structs."""

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from protocol.errors import Invalid, Rejected
from protocol.money import Currency, Money
from protocol.registry import Command, Query, Route, Wire
from protocol.texts import TextKind, kind
from server.edge.decoding import BodyDecoder, QueryDecoder
from server.edge.normal_form import NORMAL, NotNormal
from server.edge.reading import PROBLEMS_MAX
from server.live.connection.codec import JSON, MSGPACK

ID = UUID("01900000-0000-7000-8000-000000000001")


class Inner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    names: Annotated[list[str], Meta(max_length=2)] = []
    price: Money | None = None


class Change(Command, frozen=True, kw_only=True):
    thing_id: UUID
    text: Annotated[str, Meta(pattern="^[a-z]*$")] = ""
    count: int | None = None
    inner: Inner | None = None
    currency: Currency | None = None
    extra: dict[str, Any] | None = None


class Numbered(Command, frozen=True, kw_only=True):
    thing_id: UUID
    number: int
    flag: bool
    name: str


class ChangeWire(Wire, frozen=True, kw_only=True, rename="camel"):
    my_id: UUID
    long_text: str

    def to_command(self) -> Change:
        return Change(thing_id=self.my_id, text=self.long_text)


class Find(Query, frozen=True, kw_only=True, rename="camel"):
    thing_id: UUID
    at_most: int = 5
    tags: set[str] | None = None


PLAIN = BodyDecoder(Change, Route("POST", "/changes"))
KEYED = BodyDecoder(Change, Route("POST", "/things/{thing_id}/change"))
MANY = BodyDecoder(Numbered, Route("POST", "/{thing_id}/{number}/{flag}/{name}"))
FIND = QueryDecoder(Find, Route("GET", "/things/{thing_id}"))


def problems(decode: Any, *args: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as refused:
        decode(*args)
    return refused.value.fields


def test_path_parameters_complete_the_body() -> None:
    assert KEYED(b'{"text": "abc"}', (str(ID),)) == Change(thing_id=ID, text="abc")
    assert KEYED(b"{}", (str(ID),)) == Change(thing_id=ID)
    assert KEYED(b'{"extra": {}}', (str(ID),)) == Change(thing_id=ID, extra={})


def test_path_parameters_have_the_types_of_their_fields() -> None:
    assert MANY(b"{}", (str(ID), "7", "true", "caf%C3%A9 %22")) == Numbered(
        thing_id=ID, number=7, flag=True, name='café "'
    )
    assert problems(MANY, b"{}", (str(ID), "seven", "true", "x")) == {"number": "wrong_type"}
    assert problems(MANY, b"{}", (str(ID), "9" * 30, "true", "x")) == {"number": "out_of_range"}
    assert problems(MANY, b"{}", ("x", "7", "true", "x")) == {"thing_id": "bad_format"}


def test_a_parameter_name_inside_a_text_is_not_a_member() -> None:
    decoded = KEYED(b'{"extra": {"thing_id": 1, "said": "\\"thing_id\\""}}', (str(ID),))

    assert decoded == Change(thing_id=ID, extra={"thing_id": 1, "said": '"thing_id"'})


def test_a_member_that_repeats_a_parameter_is_refused() -> None:
    body = b'{"thing_id": "%b"}' % str(ID).encode()

    assert problems(KEYED, body, (str(ID),)) == {"thing_id": "unknown_field"}


def test_numbers_keep_the_digits_that_were_sent() -> None:
    class Paid(Command, frozen=True, kw_only=True):
        thing_id: UUID
        amount: msgspec.Raw

    decode = BodyDecoder(Paid, Route("POST", "/things/{thing_id}/pay"))

    assert bytes(decode(b'{"amount": 0.10000000000000000001}', (str(ID),)).amount) == b"0.10000000000000000001"


def test_a_wire_struct_is_converted_to_the_declared_command() -> None:
    decode = BodyDecoder(Change, Route("PUT", "/other/{my_id}", ChangeWire))

    assert decode(b'{"longText": "abc"}', (str(ID),)) == Change(thing_id=ID, text="abc")
    assert problems(decode, b'{"long_text": "abc"}', (str(ID),)) == {
        "longText": "missing",
        "long_text": "unknown_field",
    }
    assert problems(decode, b"{}", (str(ID),)) == {"longText": "missing"}


def test_a_route_whose_parameter_is_not_a_field_is_refused_at_start() -> None:
    with pytest.raises(AssertionError, match="has no field other_id"):
        BodyDecoder(Change, Route("POST", "/things/{other_id}"))


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b'{"text": "ABC"}', {"text": "bad_format"}),
        (b'{"count": "1"}', {"count": "wrong_type"}),
        (b'{"inner": {"names": ["a", "b", "c"]}}', {"inner.names": "too_long"}),
        (b'{"inner": {"names": ["a", 1]}}', {"inner.names[1]": "wrong_type"}),
        (b'{"inner": {"price": {"amount_minor": 1}}}', {"inner.price.currency": "missing"}),
        (b'{"inner": {"price": {"amount_minor": 1, "currency": "ABC"}}}', {"inner.price": "unknown_currency"}),
        (b'{"inner": {"price": {"amount_minor": 1e3, "currency": "EUR"}}}', {"inner.price.amount_minor": "wrong_type"}),
        (b'{"currency": "eur"}', {"currency": "bad_format"}),
        (b'{"extra": {"a": {"b": "\\u0000"}}}', {"extra.a.b": "control_character"}),
    ],
)
def test_an_invalid_field_is_named_by_path_and_code(body: bytes, fields: dict[str, str]) -> None:
    assert problems(KEYED, body, (str(ID),)) == fields


def test_a_refusal_has_codes_and_no_words_of_the_decoder() -> None:
    with pytest.raises(Invalid) as refused:
        PLAIN(b'{"thing_id": 5}', ())

    assert not hasattr(refused.value, "__notes__")


def test_a_refusal_names_every_wrong_field_at_once() -> None:
    body = b'{"text": "ABC", "count": "1", "inner": {"names": [1, "a"], "price": {"currency": "ABC"}}, "new": 1}'

    assert problems(PLAIN, body, ()) == {
        "thing_id": "missing",
        "text": "bad_format",
        "count": "wrong_type",
        "inner.names[0]": "wrong_type",
        "inner.price.amount_minor": "missing",
        "new": "unknown_field",
    }


def test_a_refusal_names_a_bounded_number_of_fields() -> None:
    body = msgspec.json.encode({"thing_id": str(ID), **{f"field_{at}": at for at in range(1000)}})

    assert len(problems(PLAIN, body, ())) == PROBLEMS_MAX


class Written(Command, frozen=True, kw_only=True):
    """One text of each kind."""

    note: Annotated[str, Meta(max_length=4)] = ""
    name: Annotated[str, Meta(min_length=1, extra=kind(TextKind.NAME))] = "x"
    password: Annotated[str, Meta(extra=kind(TextKind.SECRET))] = ""
    code: Annotated[str, Meta(pattern="^[0-9]{6}$", extra=kind(TextKind.CODE))] | None = None
    email: Annotated[str, Meta(extra=kind(TextKind.EMAIL))] | None = None
    phone: Annotated[str, Meta(extra=kind(TextKind.PHONE))] | None = None
    language: Annotated[str, Meta(extra=kind(TextKind.LANGUAGE))] = "en"
    images: tuple[Annotated[str, Meta(extra=kind(TextKind.IMAGE))], ...] = ()
    extra: dict[str, Any] | None = None


WRITTEN = BodyDecoder(Written, Route("POST", "/texts"))


@pytest.mark.parametrize(
    ("field", "written", "kept"),
    [
        ("note", "  a\r\nb\r ", "a\nb"),
        ("note", "e\N{COMBINING ACUTE ACCENT}abc", "éabc"),
        ("name", "Ada\N{NO-BREAK SPACE}", "Ada"),
        ("password", "  e\N{COMBINING ACUTE ACCENT} ", "  e\N{COMBINING ACUTE ACCENT} "),
        ("code", " 123\N{NO-BREAK SPACE}4-56 ", "123456"),
        ("email", " Ada@EXAMPLE.test ", "Ada@example.test"),
        ("email", "info@fuß.test", "info@fuß.test"),
        ("phone", "\N{LEFT-TO-RIGHT EMBEDDING}+49 (30) 901-820\N{POP DIRECTIONAL FORMATTING}", "+4930901820"),
        ("language", "en_us", "en-US"),
        ("language", "ZH-hant-tw", "zh-Hant-TW"),
        ("language", "es-419", "es-419"),
        ("language", "de-u-CO-phonebk", "de-u-co-phonebk"),
        ("images", ["https://example.com/a.png ", "/files/a.png"], ("https://example.com/a.png", "/files/a.png")),
        ("extra", {"a": [" x\r\n"]}, {"a": ["x"]}),
    ],
)
def test_a_text_is_kept_in_the_normal_form_of_its_kind(field: str, written: Any, kept: Any) -> None:
    for decode in (WRITTEN, BodyDecoder(Written, Route("POST", "/v1/commands"))):
        assert getattr(decode(msgspec.json.encode({field: written}), ()), field) == kept
    assert getattr(JSON.decode_data(msgspec.Raw(msgspec.json.encode({field: written})), Written), field) == kept
    assert getattr(MSGPACK.decode_data(msgspec.Raw(msgspec.msgpack.encode({field: written})), Written), field) == kept


@pytest.mark.parametrize(
    ("field", "written", "problem"),
    [
        ("note", "abcd\N{COMBINING ACUTE ACCENT}e", "too_long"),
        ("name", "  ", "blank"),
        *[("name", blank, "blank") for blank in "\u3164\u115f\u1160\uffa0\u2800\ufe0f\u034f\U0001d159\u200b"],
        ("name", "Ada\N{RIGHT-TO-LEFT OVERRIDE}adA", "control_character"),
        ("name", "a\nb", "control_character"),
        ("note", "a\x1f", "control_character"),
        ("code", "12345", "bad_format"),
        ("email", "ada@", "not_an_address"),
        ("phone", "+41446681800 mob", "not_a_number"),
        ("phone", "+12530000", "not_a_number"),
        ("phone", "+49112", "not_a_number"),
        ("phone", "030 901820", "not_international"),
    ],
)
def test_a_text_without_a_normal_form_is_refused_by_name(field: str, written: str, problem: str) -> None:
    assert problems(WRITTEN, msgspec.json.encode({field: written}), ()) == {field: problem}


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:image/png;base64,AA", "http://a.test/b", "//a.test/b"]
)
def test_a_picture_is_https_or_of_this_server(address: str) -> None:
    assert problems(WRITTEN, msgspec.json.encode({"images": [address]}), ()) == {"images[0]": "not_https"}


@given(st.text(max_size=8))
def test_a_normal_form_is_its_own_normal_form(text: str) -> None:
    for normal in NORMAL.values():
        try:
            once = normal(text)
        except NotNormal:
            continue
        assert normal(once) == once


def test_a_query_string_completes_the_path() -> None:
    assert FIND("atMost=3&tags=a&tags=b", (str(ID),)) == Find(thing_id=ID, at_most=3, tags={"a", "b"})
    assert FIND("tags=a", (str(ID),)) == Find(thing_id=ID, tags={"a"})
    assert FIND("atMost=&tags=&tags=a&utm_source=x", (str(ID),)) == Find(thing_id=ID, tags={"a"})
    assert problems(FIND, "atMost=x&tags=%00", (str(ID),)) == {"atMost": "wrong_type", "tags[0]": "control_character"}
    assert problems(FIND, f"thingId={ID}", (str(ID),)) == {"thingId": "unknown_field"}


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
MEMBERS = st.dictionaries(st.sampled_from(["thing_id", "text", "count", "inner", "currency", "extra"]), JSON_VALUES)


@given(MEMBERS | JSON_VALUES, st.sampled_from([str(ID), "x", "%00", "%ff", "1"]))
def test_any_json_is_decoded_or_refused(value: Any, raw: str) -> None:
    body = msgspec.json.encode(value) if not has_lone_surrogate(value) else b'"\\ud800"'
    for decode, params in ((PLAIN, ()), (KEYED, (raw,))):
        outcome = outcome_of(lambda: decode(body, params))  # noqa: B023 (called at once)
        assert isinstance(outcome, Change) or 400 <= outcome.status < 500


@given(st.binary(max_size=64), st.text(max_size=16))
def test_any_bytes_are_decoded_or_refused(body: bytes, raw: str) -> None:
    for attempt in (lambda: PLAIN(body, ()), lambda: KEYED(body, (str(ID),)), lambda: FIND(raw, (str(ID),))):
        outcome = outcome_of(attempt)
        assert isinstance(outcome, Change | Find) or 400 <= outcome.status < 500


@given(st.binary(max_size=40))
def test_no_body_overrides_its_path(inside: bytes) -> None:
    for body in (inside, b"{" + inside + b"}", b'{"thing_id": "%b"}' % inside, b'{"extra": ' + inside + b"}"):
        try:
            decoded = KEYED(body, (str(ID),))
        except Rejected:
            continue
        assert decoded.thing_id == ID
        msgspec.json.decode(body)


def outcome_of(attempt: Callable[[], Any]) -> Any:
    """Return the struct or the refusal; any other exception is raised."""
    try:
        return attempt()
    except Rejected as refused:
        return refused


def has_lone_surrogate(value: Any) -> bool:
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError:
        return True
    return False
