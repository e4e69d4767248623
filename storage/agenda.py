"""Reading due agenda rows, and moving rows to quarantine."""

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from protocol.ids import AgendaId, Kind, Ref


@dataclass(frozen=True, slots=True)
class Due:
    """One row of the agenda: a command to send to an actor at its time."""

    agenda_id: AgendaId
    to: Ref
    #: The timer's name; None for a message.
    name: str | None
    due_at: datetime
    #: From then on it is skipped; None: it fires however late.
    expires_at: datetime | None
    #: The command's name and its JSON.
    command: str
    payload: str
    cause: str


async def load_due(
    pool: "asyncpg.Pool[asyncpg.Record]", before: datetime, after: tuple[datetime, AgendaId] | None, page: int
) -> list[Due]:
    """Load a page of rows due by an instant, in order, after the given sort key."""
    rows = await pool.fetch(
        "SELECT id, kind, actor_id, name, due_at, expires_at, command, payload, cause FROM agenda"
        " WHERE due_at <= $1 AND ($2::timestamptz IS NULL OR (due_at, id) > ($2, $3::uuid))"
        " ORDER BY due_at, id LIMIT $4",
        before,
        after and after[0],
        after and after[1],
        page,
    )
    return [
        Due(
            row["id"],
            Ref(Kind(row["kind"]), row["actor_id"]),
            row["name"],
            row["due_at"],
            row["expires_at"],
            row["command"],
            row["payload"],
            row["cause"],
        )
        for row in rows
    ]


async def quarantine(pool: "asyncpg.Pool[asyncpg.Record]", agenda_id: AgendaId, error: str) -> None:
    """Move a row that keeps crashing its actor to quarantine, for an operator to inspect."""
    await pool.execute(
        "WITH taken AS (DELETE FROM agenda WHERE id = $1 RETURNING *)"
        " INSERT INTO agenda_quarantine"
        " (id, kind, actor_id, name, due_at, expires_at, command, payload, cause, error)"
        " SELECT id, kind, actor_id, name, due_at, expires_at, command, payload, cause, $2 FROM taken",
        agenda_id,
        error,
    )
