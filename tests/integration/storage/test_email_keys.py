"""The migration of the keys of e-mail addresses: every account is found by its new key."""

import shutil
from pathlib import Path
from uuid import UUID

from protocol.user.terms import email_key
from storage.database import connect
from storage.migrate import MIGRATIONS_DIR, migrate

ADDRESSES = (
    "Ada@example.test",
    "Größe@example.test",
    "info@fuß.test",
    "ΑΣ@example.test",
    "ﬁn@example.test",
    "ÉΣς@x.test",
)


async def test_each_account_is_found_by_its_address_after_the_migration(bare_dsn: str, tmp_path: Path) -> None:
    for path in sorted(MIGRATIONS_DIR.glob("*.sql")):
        if path.name.endswith("_email_keys.sql"):
            break
        shutil.copy(path, tmp_path)
    await migrate(bare_dsn, directory=tmp_path)
    session = await connect(bare_dsn)
    for number, address in enumerate(ADDRESSES):
        await session.execute(
            "INSERT INTO people (user_id, email, name, language) VALUES ($1, $2, 'Ada', 'en')",
            UUID(int=number),
            address,
        )
        await session.execute("INSERT INTO unique_keys VALUES ('email', $1, $2)", address.casefold(), UUID(int=number))

    await migrate(bare_dsn)

    keys = await session.fetch("SELECT key FROM unique_keys WHERE scope = 'email' ORDER BY owner")
    await session.close()
    assert [row["key"] for row in keys] == [email_key(address) for address in ADDRESSES]
