"""The ledger's hash chain: transfers are sealed behind the commits that made them, and can be proved since.

A seal is the SHA-256 of the seal before it and of the bytes of the transfers that it covers. It is made by ``seal_v1``
(migrations/0002_ledger.sql); this file computes the same bytes again, so that neither is believed alone.
"""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from storage.database import Pool

#: Transfers in one seal.
SEAL_TRANSFERS_MAX = 2_000
#: Seals made in one go; what is left waits for the next.
SEALS_MAX = 100
#: What the first seal has for a predecessor.
NO_HASH = bytes(32)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_HEAD = struct.Struct(">qqi")


@dataclass(frozen=True, slots=True)
class LedgerTransfer:
    """One transfer as the ledger keeps it."""

    id: UUID
    debit: str
    credit: str
    amount_minor: int
    currency: str
    reason: str
    kind: str
    subject_id: UUID
    at: datetime


@dataclass(frozen=True, slots=True)
class Sealed:
    """What one run of the sealer did."""

    seals: int
    transfers: int


@dataclass(frozen=True, slots=True)
class Tail:
    """What no seal covers yet."""

    #: Transfers.
    waiting: int
    #: Since the oldest of them was written; 0 if there are none.
    waiting_s: float
    #: The newest seal; 0 before the first.
    last_seal: int


def transfer_bytes(entry: LedgerTransfer) -> bytes:
    """The bytes of a transfer that its seal covers (docs/decisions/*-the-ledger-is-sealed-behind.md)."""
    return b"".join(
        (
            entry.id.bytes,
            _text(entry.debit),
            _text(entry.credit),
            entry.amount_minor.to_bytes(8, "big", signed=True),
            _text(entry.currency),
            _text(entry.reason),
            _text(entry.kind),
            entry.subject_id.bytes,
            _microseconds(entry.at).to_bytes(8, "big", signed=True),
        )
    )


def seal_head(previous: bytes, number: int, sealed_at: datetime, transfers: int) -> bytes:
    """The bytes of a seal that come before those of its transfers; all of it hashed is the seal."""
    return previous + _HEAD.pack(number, _microseconds(sealed_at), transfers)


def _text(value: str) -> bytes:
    data = value.encode()
    return len(data).to_bytes(4, "big") + data


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


async def seal(pool: Pool, *, transfers_max: int = SEAL_TRANSFERS_MAX, seals_max: int = SEALS_MAX) -> Sealed:
    """Seal what waits, each seal in a transaction of its own; does nothing while another node is at it.

    Safe to call at any time, on every node, and to be killed in: a seal is there whole or not at all.
    """
    seals = transfers = 0
    for _ in range(seals_max):
        row = await pool.fetchrow("SELECT number, sealed, taken FROM seal_v1($1)", transfers_max)
        assert row is not None
        if row["sealed"]:
            seals += 1
            transfers += row["sealed"]
        if row["taken"] is None or row["taken"] < transfers_max:
            break
    return Sealed(seals, transfers)


async def read_tail(pool: Pool) -> Tail:
    """Look at what waits for its seal."""
    row = await pool.fetchrow(
        "SELECT count(*) AS waiting, coalesce(extract(epoch FROM now() - min(queued_at)), 0)::float8 AS waiting_s,"
        " (SELECT coalesce(max(number), 0) FROM ledger_seals) AS last_seal FROM unsealed_transfers"
    )
    assert row is not None
    return Tail(row["waiting"], max(0.0, row["waiting_s"]), row["last_seal"])
