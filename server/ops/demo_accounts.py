"""The demo accounts, whose password is public, must not outlive development mode."""

from storage.database import Pool
from storage.queries.demo import count_accounts_at

#: The domain of all demo accounts; it belongs to nobody.
DEMO_DOMAIN = "demo.guildwire.test"


class DemoAccountsError(Exception):
    """Development mode is off, and the database has demo accounts."""


async def refuse_demo_accounts(pool: Pool) -> None:
    """Refuse to serve a database with demo accounts outside of development mode. Raises: DemoAccountsError."""
    if count := await count_accounts_at(pool, DEMO_DOMAIN):
        raise DemoAccountsError(describe(count))


def describe(count: int) -> str:
    """What is wrong, and what the operator can do."""
    return (
        f"dev.enabled is off, and the database has {count} demo accounts (…@{DEMO_DOMAIN}) whose password is public;"
        " use another server.data_dir or database.url, or set dev.enabled = true on this machine alone"
    )
