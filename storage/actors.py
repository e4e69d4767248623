"""Reading actors' rows, and stored replies from the command log."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from msgspec import Struct

from protocol.ids import Kind, Ref


class Stored(Struct, frozen=True, gc=False):
    """One actor's row; version 0 and no state if the actor does not exist."""

    to: Ref
    version: int = 0
    stamp: int = 0
    schema: int = 1
    #: JSON.
    state: bytes | None = None


class StoredReply(Struct, frozen=True):
    """One entry of the command log."""

    to: Ref
    version: int
    hash: bytes
    refused: bool
    #: JSON.
    reply: bytes
    seq: int | None


async def load_states(pool: "asyncpg.Pool[asyncpg.Record]", refs: Sequence[Ref]) -> list[Stored]:
    """Read actors' rows, in the order asked for."""
    rows = await pool.fetch(
        "SELECT a.kind, a.id, a.version, a.stamp, a.schema, a.state::text AS state"
        " FROM unnest($1::text[], $2::uuid[]) w(kind, id) JOIN actors a ON a.kind = w.kind AND a.id = w.id",
        [ref.kind for ref in refs],
        [ref.id for ref in refs],
    )
    found = {
        (row["kind"], row["id"]): Stored(
            Ref(Kind(row["kind"]), row["id"]), row["version"], row["stamp"], row["schema"], row["state"].encode()
        )
        for row in rows
    }
    return [found.get((ref.kind.value, ref.id)) or Stored(ref) for ref in refs]


async def load_replies(
    pool: "asyncpg.Pool[asyncpg.Record]", identities: Sequence[tuple[UUID, str]]
) -> list[StoredReply | None]:
    """Read stored replies by principal and command id, in the order asked for; None where there is none."""
    rows = await pool.fetch(
        "SELECT l.* FROM unnest($1::uuid[], $2::text[]) w(principal, key)"
        " JOIN command_log l ON l.principal = w.principal AND l.key = w.key",
        [principal for principal, _ in identities],
        [key for _, key in identities],
    )
    found = {
        (row["principal"], row["key"]): StoredReply(
            Ref(Kind(row["kind"]), row["id"]),
            row["version"],
            row["hash"],
            row["refused"],
            row["reply"].encode(),
            row["seq"],
        )
        for row in rows
    }
    return [found.get(identity) for identity in identities]
