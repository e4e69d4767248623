"""Parsing WebSocket messages (RFC 6455 §5), however the bytes are split."""

import random

import pytest

from server.live.connection.messages import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FRAGMENTS_MAX,
    PING,
    PROTOCOL_ERROR,
    TEXT,
    TOO_BIG,
    BrokenMessage,
    Message,
    MessageReader,
    unmask,
)
from tests.support.wire import MASK, frame

BYTES_MAX = 70_000


def taken(reader: MessageReader) -> list[Message]:
    """Take all complete messages."""
    found = []
    while (message := reader.take()) is not None:
        found.append(message)
    return found


def read(data: bytes, bytes_max: int = BYTES_MAX) -> list[Message]:
    """Parse all messages of some bytes."""
    reader = MessageReader(bytes_max)
    reader.feed(data)
    return taken(reader)


@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 125, 126, 65_535, 65_536, BYTES_MAX])
def test_a_message_of_any_length_is_parsed(length: int) -> None:
    payload = bytes(n % 251 for n in range(length))

    assert read(frame(payload, BINARY)) == [Message(BINARY, payload)]


def test_masking_twice_changes_nothing() -> None:
    data = bytes(range(256)) + b"x"

    assert unmask(MASK, unmask(MASK, data)) == data
    assert unmask(MASK, data) != data


def test_messages_do_not_depend_on_how_the_bytes_are_split() -> None:
    said = [b"one", b"", b"x" * 300, b"y" * 66_000, b"last"]
    data = b"".join(map(frame, said))
    for seed in range(30):
        chance, reader, found, at = random.Random(seed), MessageReader(BYTES_MAX), [], 0
        while at < len(data):
            size = chance.choice((1, 2, 7, 100, 5_000, 40_000))
            reader.feed(data[at : at + size])
            at += size
            if chance.random() < 0.7:
                found += taken(reader)
        found += taken(reader)

        assert found == [Message(TEXT, payload) for payload in said]
        assert reader.held_bytes == 0


def test_fragments_are_joined_and_control_messages_between_them_are_returned_first() -> None:
    data = frame(b"one ", final=False) + frame(b"?", PING) + frame(b"and ", CONTINUATION, final=False)
    data += frame(b"two", CONTINUATION) + frame(b"three")

    assert read(data) == [Message(PING, b"?"), Message(TEXT, b"one and two"), Message(TEXT, b"three")]


@pytest.mark.parametrize(
    "data",
    [
        b"\x81\x01x",
        b"\xc1\x80" + MASK,
        b"\x83\x80" + MASK,
        b"\x8b\x80" + MASK,
        frame(b"", CONTINUATION),
        frame(b"", TEXT, final=False) + frame(b"", TEXT),
        frame(b"", PING, final=False),
        frame(b"x" * 126, CLOSE),
    ],
    ids=[
        "not masked",
        "an extension's bit",
        "an unknown kind",
        "an unknown control message",
        "a fragment of nothing",
        "a message inside another",
        "a control message in pieces",
        "a long control message",
    ],
)
def test_invalid_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BrokenMessage) as broken:
        read(data)

    assert broken.value.code == PROTOCOL_ERROR


@pytest.mark.parametrize(
    "data",
    [
        frame(b"x" * 201)[:4],
        b"\x81\xff" + (2**63).to_bytes(8, "big"),
        frame(b"x" * 150, final=False) + frame(b"x" * 51, CONTINUATION, final=False),
    ],
    ids=["in one piece", "absurd", "in fragments"],
)
def test_a_message_that_is_too_big_is_refused_before_it_is_complete(data: bytes) -> None:
    with pytest.raises(BrokenMessage) as broken:
        read(data, bytes_max=200)

    assert broken.value.code == TOO_BIG


def test_a_message_in_fragments_may_be_as_big_as_any() -> None:
    reader = MessageReader(200)

    reader.feed(frame(b"x" * 150, final=False) + frame(b"x" * 50, CONTINUATION))

    assert reader.take() == Message(TEXT, b"x" * 200)


def test_the_number_of_fragments_is_bounded() -> None:
    first, further = frame(b"", final=False), frame(b"", CONTINUATION, final=False)
    reader = MessageReader(BYTES_MAX)
    reader.feed(first + further * (FRAGMENTS_MAX - 2) + frame(b"end", CONTINUATION))
    assert reader.take() == Message(TEXT, b"end")

    reader.feed(first + further * FRAGMENTS_MAX)
    with pytest.raises(BrokenMessage) as broken:
        reader.take()
    assert broken.value.code == TOO_BIG
