"""Ids cannot be predicted: their bits come from the operating system, and each is handed out once."""

import secrets

import pytest

from actors.runtime.entropy import BLOCK_BYTES, Entropy


def test_every_byte_of_a_block_is_used_once_and_the_next_block_follows() -> None:
    drawn: list[bytes] = []

    def recorded(size: int) -> bytes:
        drawn.append(secrets.token_bytes(size))
        return drawn[-1]

    source = Entropy(recorded)

    given = [source.bits(128).to_bytes(16, "big") for _ in range(2 * BLOCK_BYTES // 16)]

    assert b"".join(given) == b"".join(drawn)
    assert [len(block) for block in drawn] == [BLOCK_BYTES] * 2


@pytest.mark.parametrize("count", [1, 63, 74, 128])
def test_a_number_has_at_most_its_bits_and_uses_them_all(count: int) -> None:
    source = Entropy()

    seen = 0
    for _ in range(1_000):
        number = source.bits(count)
        assert number >> count == 0
        seen |= number

    assert seen == (1 << count) - 1
