"""Forward-only schema migrations: numbered SQL files, each applied once, in order, in a transaction of its own.

`schema_migrations` stores each file's checksum. A file that was edited after it was applied is refused, and so is a
database with more migrations than this program has: an old server must not work on a newer schema.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import structlog

from storage.database import Connection, connect

log = structlog.get_logger(__name__)

MIGRATIONS_DIR = Path(__file__).parent / "migrations"
#: An arbitrary number, the same in every version of the program.
ADVISORY_LOCK = 0x6775696C64
#: How long to wait for another node that is migrating.
LOCK_WAIT_S = 600.0
#: For one migration; its waits for locks are bounded by the session's own, shorter limit.
MIGRATION_TIMEOUT_S = 3600.0

_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")

_CREATE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number     integer PRIMARY KEY CHECK (number > 0),
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


class MigrationError(Exception):
    """The schema cannot be brought up to date."""


class MigrationMalformed(MigrationError):
    """The directory holds a file that is not a migration, or a number twice, or a gap."""


class MigrationEdited(MigrationError):
    """A file that was applied has changed since, or is missing."""


class DatabaseNewer(MigrationError):
    """The database has migrations that this program does not know."""


class MigrationFailed(MigrationError):
    """The database refused a migration, which was rolled back."""


@dataclass(frozen=True, kw_only=True)
class Migration:
    """One numbered file."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, the same for either kind of line ending."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


async def migrate(target: str | Connection, *, directory: Path = MIGRATIONS_DIR) -> list[str]:
    """Apply what is missing and return the names of the files applied, in order.

    Safe to run from several nodes at once: the others wait for the first and find nothing to do.
    Raises: MigrationMalformed, MigrationEdited, DatabaseNewer, MigrationFailed.
    """
    migrations = read_migrations(directory)
    if not isinstance(target, str):
        return await _migrate_locked(target, migrations)
    connection = await connect(target)
    try:
        return await _migrate_locked(connection, migrations)
    finally:
        await connection.close()


def read_migrations(directory: Path = MIGRATIONS_DIR) -> list[Migration]:
    """Return the directory's migrations in order. Raises: MigrationMalformed."""
    migrations = []
    for path in sorted(directory.glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            raise MigrationMalformed(f"{path.name}: a migration is named NNNN_name.sql, in lower case")
        sql = path.read_text(encoding="utf-8")
        migrations.append(Migration(number=int(match[1]), name=path.name, sql=sql))
    for expected, migration in enumerate(migrations, start=1):
        if migration.number != expected:
            raise MigrationMalformed(f"{migration.name}: the next number is {expected:04}")
    return migrations


async def _migrate_locked(connection: Connection, migrations: list[Migration]) -> list[str]:
    await _lock(connection)
    try:
        await connection.execute(_CREATE)
        rows = await connection.fetch("SELECT number, name, checksum FROM schema_migrations ORDER BY number")
        _compare({row["number"]: row for row in rows}, migrations)
        missing = migrations[len(rows) :]
        for migration in missing:
            await _apply(connection, migration)
    finally:
        if not connection.is_closed():
            await connection.execute("SELECT pg_advisory_unlock($1)", ADVISORY_LOCK)
    return [migration.name for migration in missing]


async def _lock(connection: Connection) -> None:
    """Take the lock that one node migrates under, waiting longer than a session's usual limits."""
    await connection.execute(f"SET lock_timeout = '{LOCK_WAIT_S:.0f}s'; SET statement_timeout = 0")
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", ADVISORY_LOCK, timeout=LOCK_WAIT_S * 2)
    except asyncpg.LockNotAvailableError as error:
        raise MigrationFailed(f"another node has been migrating for {LOCK_WAIT_S:.0f} s") from error
    finally:
        await connection.execute("RESET lock_timeout; RESET statement_timeout")


def _compare(applied: Mapping[int, asyncpg.Record], migrations: list[Migration]) -> None:
    """Raise unless the applied migrations are the first ones of this program, unchanged."""
    known = {migration.number: migration for migration in migrations}
    for number, row in applied.items():
        if number > len(migrations):
            raise DatabaseNewer(f"the database has {row['name']}, this program ends at {len(migrations):04}")
        if known[number].checksum != row["checksum"]:
            raise MigrationEdited(f"{row['name']} was applied, and {known[number].name} is not the same file any more")


async def _apply(connection: Connection, migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL statement_timeout = '{MIGRATION_TIMEOUT_S:.0f}s'")
            await connection.execute(migration.sql, timeout=MIGRATION_TIMEOUT_S)
            await connection.execute(
                "INSERT INTO schema_migrations (number, name, checksum) VALUES ($1, $2, $3)",
                *(migration.number, migration.name, migration.checksum),
            )
    except asyncpg.PostgresError as error:
        raise MigrationFailed(f"{migration.name}: {error}") from error
    log.info("database.migrated", migration=migration.name)
