"""``server verify``: the audit, as a table."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from actors.actor import ACTORS
from server.edge.config import ServerConfig
from server.ops.config import DatabaseConfig
from server.ops.database import open_database
from server.ops.pid_file import read_pid_file
from server.ops.verify import verify
from storage.chain import SealMark
from storage.database import Pool, connect_pool


@asynccontextmanager
async def reach_database(server: ServerConfig, database: DatabaseConfig) -> AsyncIterator[Pool]:
    """The database of the server that runs on this data folder; if none does, the configured one, opened for this."""
    async with AsyncExitStack() as stack:
        running = read_pid_file(Path(server.data_dir))
        dsn = running.dsn if running else (await stack.enter_async_context(open_database(server, database))).dsn
        pool = await connect_pool(dsn, size_max=2)
        stack.push_async_callback(pool.close)
        yield pool


async def run_verify(
    server: ServerConfig, database: DatabaseConfig, console: Console, expected: Sequence[SealMark] = ()
) -> int:
    """Audit a database and print the findings; returns the exit code."""
    async with reach_database(server, database) as pool:
        table = Table("invariant", "broken", box=None, header_style="bold")
        broken, notes = 0, list[str]()
        async for finding in verify(pool, ACTORS, expected):
            broken += finding.broken
            table.add_row(finding.name, "[green]0[/]" if not finding.broken else f"[red]{finding.broken}[/]")
            for sample in finding.samples:
                table.add_row(Text(f"    {sample}", overflow="fold"), "")
            if finding.says:
                notes.append(finding.says)
    console.print(table)
    for note in notes:
        console.print(Text(note), soft_wrap=True)
    console.print("[green]every invariant holds[/]" if not broken else f"[red]{broken} broken[/]")
    return 1 if broken else 0
