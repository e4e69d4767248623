"""The check of the ledger's hash chain: every seal is recomputed from the transfers that it covers.

Rows are streamed: only a page of them is in memory, whatever the ledger's size.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

import asyncpg

from storage.database import Connection
from storage.seal import NO_HASH, LedgerTransfer, seal_head, transfer_bytes
from storage.verify import CHECK_MAX_S, Finding, Violation

#: Rows of one page.
SEALS_PAGE, MEMBERS_PAGE = 500, 2_000

#: Hexadecimal digits of an abbreviated hash.
BRIEF_DIGITS = 12

UNBROKEN = "the ledger's seals are one chain, each the hash of what it covers"
UNCHANGED = "every sealed transfer is there, as it was sealed"
COMPLETE = "every transfer is sealed, or waits for its seal"
EXPECTED = "the chain has the seals that were written down"

_SEALS = "SELECT number, previous, hash, transfers, sealed_at FROM ledger_seals ORDER BY number"
_MEMBERS = """
SELECT m.seal, m.position, m.transfer_id, m.digest,
       t.id, t.debit, t.credit, t.amount_minor, t.currency, t.reason, t.kind, t.subject_id, t.at
  FROM sealed_transfers m LEFT JOIN transfers t ON t.id = m.transfer_id ORDER BY m.seal, m.position
"""
_LEFT_OUT = """
SELECT t.id FROM transfers t
 WHERE NOT EXISTS (SELECT FROM sealed_transfers s WHERE s.transfer_id = t.id)
   AND NOT EXISTS (SELECT FROM unsealed_transfers u WHERE u.transfer_id = t.id) ORDER BY t.id
"""


class SealMark(NamedTuple):
    """A seal that was recorded elsewhere: the chain must still contain it."""

    number: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.number}:{self.hash.hex()}"

    @property
    def brief(self) -> str:
        """The abbreviated hash."""
        return f"{self.hash.hex()[:BRIEF_DIGITS]}…"

    @classmethod
    def read(cls, text: str) -> "SealMark":
        """Parse ``N:HASH``. Raises: ValueError."""
        number, _, digits = text.partition(":")
        mark = cls(int(number), bytes.fromhex(digits))
        if mark.number < 1 or len(mark.hash) != len(NO_HASH):
            raise ValueError("a seal is its number, a colon and 64 hexadecimal digits")
        return mark


class _Seal(NamedTuple):
    number: int
    previous: bytes
    hash: bytes
    transfers: int
    sealed_at: datetime


async def check_chain(connection: Connection, expected: Sequence[SealMark] = ()) -> AsyncIterator[Finding]:
    """Check the whole chain within the connection's transaction, then look for transfers that are not in it."""
    walk = _Walk(connection, expected)
    await walk.run()
    waiting = await connection.fetchval("SELECT count(*) FROM unsealed_transfers", timeout=CHECK_MAX_S)
    head = f"the last seal is {walk.head}" if walk.head is not None else "no seal yet"
    yield walk.chain.finding(f"{head}\ntransfers sealed: {walk.covered}, waiting for their seal: {waiting}")
    yield walk.transfers.finding()
    left_out = Violation(COMPLETE)
    async for row in connection.cursor(_LEFT_OUT, prefetch=MEMBERS_PAGE, timeout=CHECK_MAX_S):
        left_out.add(f"transfer {row['id']}: neither sealed nor waiting")
    yield left_out.finding()
    if expected:
        for number, marks in sorted(walk.unseen.items()):
            for mark in marks:
                walk.expected.add(f"seal {number}: {mark.brief} was written down, and it is not there")
        yield walk.expected.finding()


class _Walk:
    """One pass over the chain, from its first seal to its last."""

    def __init__(self, connection: Connection, expected: Sequence[SealMark]) -> None:
        self.chain, self.transfers, self.expected = Violation(UNBROKEN), Violation(UNCHANGED), Violation(EXPECTED)
        self.head: SealMark | None = None
        self.covered = 0
        self.unseen: dict[int, list[SealMark]] = {}
        for mark in expected:
            self.unseen.setdefault(mark.number, []).append(mark)
        self._connection = connection
        self._members: AsyncIterator[asyncpg.Record] = aiter(
            connection.cursor(_MEMBERS, prefetch=MEMBERS_PAGE, timeout=CHECK_MAX_S)
        )
        self._member: asyncpg.Record | None = None

    async def run(self) -> None:
        """Check every seal, and every transfer that refers to one."""
        await self._next_member()
        async for row in self._connection.cursor(_SEALS, prefetch=SEALS_PAGE, timeout=CHECK_MAX_S):
            seal = _Seal(**row)
            await self._skip_members(seal.number)
            self._check_position(seal)
            if await self._hash_members(seal) != seal.hash:
                self.chain.add(f"seal {seal.number}: its hash is not that of what it covers")
            now = SealMark(seal.number, seal.hash)
            for mark in self.unseen.pop(seal.number, ()):
                if mark != now:
                    self.expected.add(f"seal {seal.number}: {mark.brief} was written down, it is {now.brief}")
            self.head = now
        await self._skip_members(None)

    def _check_position(self, seal: _Seal) -> None:
        """Check that no number is missing before this seal, and that it contains the hash of the one before."""
        last, known = self.head or (0, NO_HASH)
        if seal.number != last + 1:
            missing = f"seal {last + 1}" if seal.number == last + 2 else f"seals {last + 1} to {seal.number - 1}"
            self.chain.add(f"{missing}: missing")
        elif seal.previous != known:
            self.chain.add(f"seal {seal.number}: it does not follow the one before it")

    async def _hash_members(self, seal: _Seal) -> bytes:
        """Compute a seal from its transfers as they are now."""
        digest = sha256(seal_head(seal.previous, seal.number, seal.sealed_at, seal.transfers))
        listed = place = 0
        while (member := self._member) is not None and member["seal"] == seal.number:
            if member["position"] != place + 1:
                self.chain.add(f"seal {seal.number}: nothing is listed at position {place + 1}")
            listed, place = listed + 1, member["position"]
            digest.update(self._bytes_of(member))
            await self._next_member()
        self.covered += listed
        if listed != seal.transfers:
            self.chain.add(f"seal {seal.number}: it was made of {seal.transfers} transfers, {listed} are listed")
        return digest.digest()

    def _bytes_of(self, member: asyncpg.Record) -> bytes:
        """The bytes of a listed transfer; a missing or changed one is reported."""
        name = f"transfer {member['transfer_id']} of seal {member['seal']}"
        if member["id"] is None:
            self.transfers.add(f"{name}: not there")
            return b""
        data = transfer_bytes(_entry(member))
        if sha256(data).digest() != member["digest"]:
            self.transfers.add(f"{name}: changed")
        return data

    async def _skip_members(self, until: int | None) -> None:
        """Skip and report transfers whose seal is missing."""
        while (member := self._member) is not None and (until is None or member["seal"] < until):
            self.chain.add(f"transfer {member['transfer_id']}: its seal {member['seal']} is not there")
            await self._next_member()

    async def _next_member(self) -> None:
        self._member = await anext(self._members, None)


def _entry(row: Any) -> LedgerTransfer:
    return LedgerTransfer(
        id=row["id"],
        debit=row["debit"],
        credit=row["credit"],
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        reason=row["reason"],
        kind=row["kind"],
        subject_id=row["subject_id"],
        at=row["at"],
    )
