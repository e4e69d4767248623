"""The smaller parts of live connections: writing, presence, acknowledgements."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from protocol.frames import AckState
from protocol.ids import UserId
from protocol.rates import Rate
from server.edge.token_bucket import TokenBucket
from server.live.connection.outgoing import Outgoing, Slow, message_header
from server.live.hub.acks import Acks
from server.live.hub.presence import Presence
from server.live.limits import Limits
from storage.inbox import Acked

ADA, BOB, EVE = (UserId(UUID(int=number)) for number in (1, 2, 3))
LIMITS = Limits(queue_bytes_max=1_000, backlog_bytes=100, held_max=2)


class Pipe:
    """A transport whose reader takes nothing until the test says so."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.waiting = 0
        self.closing = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        self.waiting += len(data)

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return self.closing

    def set_write_buffer_limits(self, high: int) -> None:
        assert high == LIMITS.backlog_bytes

    def get_extra_info(self, name: str) -> None:
        return None


def outgoing(pipe: Pipe) -> Outgoing:
    return Outgoing(pipe, 1, LIMITS)  # type: ignore[arg-type]  # the used part of a transport


# Outgoing


@pytest.mark.parametrize(
    ("length", "header"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65535, b"\x81\x7e\xff\xff"),
        (65536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_headers_are_as_in_the_rfc(length: int, header: bytes) -> None:
    assert message_header(1, length) == header


def test_added_frames_are_separate_messages_in_one_write() -> None:
    pipe = Pipe()
    out = outgoing(pipe)

    out.add([b"one", b"two"])
    out.add([b"x" * 200])
    out.flush()
    out.flush()

    assert pipe.writes == [b"\x81\x03one\x81\x03two\x81\x7e\x00\xc8" + b"x" * 200]


def test_frames_past_the_bound_raise_slow_and_are_dropped() -> None:
    pipe = Pipe()
    out = outgoing(pipe)
    out.add([b"x" * 600])
    out.flush()

    out.add([b"y" * 600])
    with pytest.raises(Slow):
        out.flush()
    out.add([b"bye"])
    out.flush(beyond_bound=True)

    assert pipe.writes[1:] == [b"\x81\x03bye"]


def test_one_big_write_to_a_reader_that_keeps_up_is_not_slow() -> None:
    pipe = Pipe()
    out = outgoing(pipe)

    out.add([b"x" * 2_000])
    out.flush()

    assert len(pipe.writes) == 1


def test_nothing_is_written_after_the_close_frame() -> None:
    pipe = Pipe()
    out = outgoing(pipe)
    out.add_close(4000, "shutdown")
    out.flush()
    out.closed = True

    out.add([b"late"])
    out.flush()

    assert pipe.writes == [b"\x88\x0a\x0f\xa0shutdown"]


def test_ephemeral_frames_are_held_back_and_only_the_latest_kept_while_the_reader_lags() -> None:
    pipe = Pipe()
    out = outgoing(pipe)
    assert not out.hold("ada", b"typing")

    pipe.waiting = LIMITS.backlog_bytes + 1
    assert out.hold("ada", b"typing")
    assert out.hold("bob", b"typing")
    assert out.hold("ada", b"idle")
    pipe.waiting = 0
    out.release()
    out.flush()

    assert pipe.writes == [b"\x81\x06typing\x81\x04idle"]


def test_an_ephemeral_frame_does_not_overtake_those_held_back() -> None:
    pipe = Pipe()
    out = outgoing(pipe)
    pipe.waiting = LIMITS.backlog_bytes + 1
    out.hold("ada", b"typing")
    pipe.waiting = 0

    assert out.hold("ada", b"idle")


def test_held_frames_are_bounded() -> None:
    pipe = Pipe()
    out = outgoing(pipe)
    pipe.waiting = LIMITS.backlog_bytes + 1

    for key in ("a", "b", "c"):
        out.hold(key, key.encode())
    out.release()
    out.flush()

    assert out.held == 0
    assert pipe.writes == [b"\x81\x01b\x81\x01c"]


# Presence


def test_a_user_is_online_from_the_first_connection_until_a_moment_after_the_last() -> None:
    presence = Presence(grace_s=10)

    assert [presence.connected(ADA), presence.connected(ADA)] == [True, False]
    presence.disconnected(ADA, 0.0)
    assert presence.expire(100.0) == []
    presence.disconnected(ADA, 100.0)

    assert presence.expire(109.9) == []
    assert presence.online(ADA)
    assert presence.expire(110.0) == [ADA]
    assert not presence.online(ADA)


def test_a_user_who_reconnects_at_once_stays_online() -> None:
    presence = Presence(grace_s=10)
    presence.connected(ADA)
    presence.disconnected(ADA, 0.0)

    assert not presence.connected(ADA)
    assert presence.expire(100.0) == []
    assert presence.online(ADA)


# Acks


class Written:
    def __init__(self) -> None:
        self.rows: list[Acked] = []
        self.fails = False

    async def __call__(self, acks: Sequence[Acked]) -> None:
        if self.fails:
            raise OSError
        self.rows.extend(acks)


async def test_acks_of_a_device_are_merged_and_written_once() -> None:
    written = Written()
    acks = Acks(written, acks_max=10)
    said: list[tuple[int, AckState]] = [(1, AckState.DELIVERED), (3, AckState.SEEN), (2, AckState.DELIVERED)]

    for seq, state in said:
        acks.add(ADA, "phone", seq, state)
    await acks.flush()
    await acks.flush()

    assert written.rows == [Acked(ADA, "phone", delivered=3, seen=3)]


async def test_acks_that_could_not_be_written_are_written_later() -> None:
    written = Written()
    acks = Acks(written, acks_max=10)
    acks.add(ADA, "phone", 2, AckState.SEEN)
    written.fails = True
    with pytest.raises(OSError):  # noqa: PT011 (nothing to match in it)
        await acks.flush()

    acks.add(ADA, "phone", 5, AckState.DELIVERED)
    written.fails = False
    await acks.flush()

    assert written.rows == [Acked(ADA, "phone", delivered=5, seen=2)]


async def test_pending_acks_are_bounded() -> None:
    written = Written()
    acks = Acks(written, acks_max=2)

    for user_id in (ADA, BOB, EVE):
        acks.add(user_id, "", 1, AckState.SEEN)
    await acks.flush()

    assert [row.user_id for row in written.rows] == [BOB, EVE]


# Rates


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(Rate(2.0, 3))

    taken: list[Any] = [bucket.take(0.0) for _ in range(4)]

    assert taken == [0.0, 0.0, 0.0, 0.5]
    assert bucket.take(0.5) == 0.0
    assert bucket.take(0.5) == 0.5
