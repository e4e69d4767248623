"""The ledger's hash chain: transfers are sealed after their commits, so that later changes can be detected.

A seal is the SHA-256 of the seal before it and of the bytes of the transfers that it covers. ``seal_v1``
(migrations/0002_ledger.sql) makes it; this file computes the same bytes independently, for the audit.
"""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from storage.database import Pool

#: Transfers in one seal.
SEAL_TRANSFERS_MAX = 2_000
#: Seals of one run; what is left waits for the next run.
SEALS_MAX = 100
#: The predecessor of the first seal.
NO_HASH = bytes(32)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_HEAD = struct.Struct(">qqi")


@dataclass(frozen=True, slots=True)
class LedgerTransfer:
    """One transfer as stored in the ledger."""

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
    """The result of one run of the sealer."""

    seals: int
    transfers: int


@dataclass(frozen=True, slots=True)
class Tail:
    """The transfers that no seal covers yet."""

    #: Transfers.
    waiting: int
    #: Seconds since the oldest of them was written; 0 if there are none.
    waiting_s: float
    #: The newest seal; 0 before the first.
    last_seal: int


def transfer_bytes(entry: LedgerTransfer) -> bytes:
    """The bytes of a transfer in its seal (docs/decisions/*-the-ledger-is-sealed-behind.md)."""
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
    """The bytes of a seal before those of its transfers; the hash of all of them is the seal."""
    return previous + _HEAD.pack(number, _microseconds(sealed_at), transfers)


def _text(value: str) -> bytes:
    data = value.encode()
    return len(data).to_bytes(4, "big") + data


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


async def seal(pool: Pool, *, transfers_max: int = SEAL_TRANSFERS_MAX, seals_max: int = SEALS_MAX) -> Sealed:
    """Seal the waiting transfers, each seal in a transaction of its own; does nothing while another node seals.

    Safe to call at any time and on every node, and to interrupt: a seal is written whole or not at all.
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
    """Read how many transfers wait for a seal."""
    row = await pool.fetchrow(
        "SELECT count(*) AS waiting, coalesce(extract(epoch FROM now() - min(queued_at)), 0)::float8 AS waiting_s,"
        " (SELECT coalesce(max(number), 0) FROM ledger_seals) AS last_seal FROM unsealed_transfers"
    )
    assert row is not None
    return Tail(row["waiting"], max(0.0, row["waiting_s"]), row["last_seal"])
