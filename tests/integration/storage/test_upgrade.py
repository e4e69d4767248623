"""A database of an earlier version is migrated forward: its people, bookings and money are there, and the books hold.

``python -m tests.integration.storage.test_upgrade`` writes the dump anew, which only a new baseline needs.
"""

import asyncio
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

from actors.actor import ACTORS
from protocol.booking.commands import CancelBooking, ConfirmRelease, PayBooking
from protocol.conversation.commands import PostMessage
from protocol.ids import ConversationId
from server.app.nouns import import_all
from server.ops.verify import verify
from storage.database import Connection, Pool, connect, connect_pool
from storage.migrate import MIGRATIONS_DIR, migrate
from tests.support.postgres import TestPostgres
from tests.support.server import Site, make_config, open_site

DUMP = Path(__file__).parent / "golden" / "version-0.1.0.sql"
#: The first line of a dump says at which migration it was made.
HEADER = "-- migration "
#: Identities of its own, or made by a migration.
LEFT_OUT = ("development_mailbox", "schema_migrations")


async def test_a_stored_database_is_migrated_forward_and_its_books_hold(bare_dsn: str, tmp_path: Path) -> None:
    dump = DUMP.read_text(encoding="utf-8")
    await migrate(bare_dsn, directory=_migrations_up_to(int(dump.split("\n")[0].removeprefix(HEADER)), tmp_path))
    session = await connect(bare_dsn)
    await session.execute(dump)
    before = await _counts(session)
    await session.close()

    await migrate(bare_dsn)

    import_all()
    async with await connect_pool(bare_dsn, size_max=2) as pool:
        assert [finding async for finding in verify(pool, ACTORS) if finding.broken] == []
        statuses = {row[0] for row in await pool.fetch("SELECT status FROM bookings")}
        assert statuses == {"PENDING", "CONFIRMED", "COMPLETED", "CANCELLED", "EXPIRED"}
        assert before == {"bookings": 6, "messages": 1, "payments": 4}
        assert await _counts(pool) == before


async def test_the_stored_database_goes_on_working(bare_dsn: str, tmp_path: Path) -> None:
    dump = DUMP.read_text(encoding="utf-8")
    await migrate(bare_dsn, directory=_migrations_up_to(int(dump.split("\n")[0].removeprefix(HEADER)), tmp_path))
    session = await connect(bare_dsn)
    await session.execute(dump)
    await session.close()
    await migrate(bare_dsn)

    async with open_site(bare_dsn, make_config(tmp_path / "site")) as site:
        await site.prove()
        await _story(site)
        await site.prove()


def _migrations_up_to(number: int, directory: Path) -> Path:
    """The migrations of the dump's version: none of them has changed since."""
    earlier = directory / "migrations"
    earlier.mkdir()
    for path in sorted(MIGRATIONS_DIR.glob("*.sql"))[:number]:
        shutil.copy(path, earlier)
    return earlier


async def _counts(session: Connection | Pool) -> dict[str, int]:
    return {
        table: await session.fetchval(f"SELECT count(*) FROM {table}") for table in ("bookings", "messages", "payments")
    }


# Writing it


async def _story(site: Site) -> None:
    """One booking in each status that a day brings, with all that money can do."""
    market, customer = await site.market(), await site.person("Carla Customer")
    await site.booked(market, customer, 2)
    paid = await site.confirmed(market, customer, 4)
    await customer.call(PostMessage(conversation_id=ConversationId(paid), text="Grüße! Which floor?"))
    cancelled = await site.confirmed(market, customer, 6)
    await customer.call(CancelBooking(booking_id=cancelled))
    released = await site.completed(market, customer, 8)
    await customer.call(ConfirmRelease(booking_id=released))
    late = await site.booked(market, customer, 10)
    payment = await customer.call(PayBooking(booking_id=late))
    await customer.call(CancelBooking(booking_id=late))
    await site.captured(payment)
    await site.advance(timedelta(minutes=15))
    await site.booked(market, customer, 12)
    await site.server.jobs.settle()


async def _dump(session: Connection) -> str:
    """All rows as plain SQL, by column names, table by table."""
    number = await session.fetchval("SELECT max(number) FROM schema_migrations")
    lines = [f"{HEADER}{number}", "SET session_replication_role = replica;"]
    tables = await session.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY relname"
    )
    for (table,) in [row for row in tables if row[0] not in LEFT_OUT]:
        rows = [row[0] for row in await session.fetch(f"SELECT to_json(t)::text FROM {table} t ORDER BY t::text")]
        if rows:
            body = ",\n".join(rows).replace("'", "''")
            lines.append(f"INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, '[\n{body}\n]');")
    return "\n".join([*lines, "SET session_replication_role = origin;", ""])


async def _write() -> None:
    postgres = TestPostgres()
    try:
        with tempfile.TemporaryDirectory() as directory:
            async with postgres.database(migrated=True) as dsn:
                async with open_site(dsn, make_config(Path(directory))) as site:
                    await _story(site)
                    await site.prove()
                session = await connect(dsn)
                DUMP.write_text(await _dump(session), encoding="utf-8")
                await session.close()
    finally:
        await asyncio.to_thread(postgres.leave)


if __name__ == "__main__":
    asyncio.run(_write())
