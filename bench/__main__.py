"""Run the workloads against a server on a fresh database, and print what they say: ``python -m bench``."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from bench.machine import DISK, NoDisk, ServerFailed, open_postgres, open_server, temporary_dir
from bench.market import Market, make_market
from bench.measured import Measured
from bench.profiled import Profile
from bench.report import figures, targets, write_page
from bench.workloads import ClientFailed, Target, run_book, run_chat
from bench.yardstick import Yardstick
from server.auth.keys import load_keys
from server.auth.tokens import TokenService
from server.config import Config
from server.node import open_node
from server.ops.logs import configure_logs
from storage.embedded import EmbeddedPostgres
from storage.migrate import migrate

WORKLOADS = {"w1": run_book, "w2": run_chat}
#: Longer than any run.
TOKEN_LIFETIME_S = 3_600
EXPECTED = (NoDisk, ServerFailed, ClientFailed, TimeoutError)

console = Console()


def main(  # noqa: PLR0917  # typer makes options of them
    seconds: Annotated[int, typer.Option(min=1, max=300, help="Length of each measurement.")] = 8,
    only: Annotated[str, typer.Option(help="w1 or w2 alone; empty: both.")] = "",
    committers: Annotated[int, typer.Option(min=1, max=8, help="The server's committers.")] = 1,
    profile: Annotated[bool, typer.Option(help="Sample where the server is; it costs a little.")] = False,
    write: Annotated[bool, typer.Option(help="Put the figures into docs/benchmarks.md.")] = False,
    disk: Annotated[Path, typer.Option("--dir", help="A directory on a real disk.")] = DISK,
) -> None:
    """Run pgbench and the workloads in turn; exit code 1 if anything went wrong in one of them."""
    names = [only] if only else list(WORKLOADS)
    if not set(names) <= set(WORKLOADS):
        raise typer.BadParameter(f"there is {', '.join(WORKLOADS)}", param_hint="--only")
    configure_logs("error", "console")
    try:
        runs = uvloop.run(_run(names, seconds, committers, profile, disk))
    except EXPECTED as error:
        console.print(f"[red]{type(error).__name__}:[/] {error}")
        raise typer.Exit(2) from None
    console.print(figures(runs))
    console.print(f"wanted: {targets()}", soft_wrap=True)
    wrong = {what: count for run in runs for what, count in run.wrong.items()}
    for what, count in wrong.items():
        console.print(f"[red]{count} ×[/] {what}")
    if write and not wrong:
        write_page(runs, seconds=seconds, committers=committers)
    raise typer.Exit(1 if wrong else 0)


async def _run(names: list[str], seconds: int, committers: int, profile: bool, disk: Path) -> list[Measured]:
    runs: list[Measured] = []
    async with temporary_dir(disk) as home, open_postgres(home) as postgres:
        _say("filling pgbench's database")
        yardstick = Yardstick(postgres)
        await yardstick.prepare()
        _say("making the marketplace")
        market = await _make_market(home, postgres)
        sampling = Profile(home) if profile else None
        launcher = sampling.launcher if sampling else ("server",)
        settings = {"GUILDWIRE_DATABASE__COMMITTERS": str(committers)}
        async with open_server(home, postgres.dsn(), settings, launcher) as server:
            assert postgres.pid is not None
            watch: Callable[[str | None], None] = sampling.watch if sampling else lambda name: None
            target = Target(server.running.url, server.process.pid, postgres.pid, watch)
            for name in names:
                _say("measuring pgbench")
                runs.append(await yardstick.measure(seconds))
                _say(f"measuring {name}")
                runs.append(await WORKLOADS[name](target, market, seconds))
            _say("measuring pgbench")
            runs.append(await yardstick.measure(seconds))
        if sampling:
            console.print(sampling.read(), soft_wrap=True, highlight=False, markup=False)
    return runs


async def _make_market(home: Path, postgres: EmbeddedPostgres) -> Market:
    await migrate(postgres.dsn())
    keys = load_keys(home / "server" / "keys")
    async with open_node(postgres.dsn(), Config()) as node:
        return await make_market(node, TokenService(keys, lifetime_s=TOKEN_LIFETIME_S))


def _say(what: str) -> None:
    console.print(f"[dim]{what} …[/]")


if __name__ == "__main__":
    typer.run(main)
