"""Run the workloads against a server on a fresh database, and print the results: ``python -m bench``."""

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from bench.compared import Compared, compared_table, write_compared
from bench.loop import run_admit, run_signout
from bench.machine import DISK, NoDisk, ServerFailed, open_postgres, open_server, temporary_dir
from bench.market import Market, make_market
from bench.measured import Measured
from bench.profiled import Profile
from bench.reach import run_reach
from bench.report import results_table, targets, write_page
from bench.slots import run_slots
from bench.sockets import FILES_MIN, BenchSetup, run_fanout, run_idle, run_storm
from bench.timers import run_timers
from bench.workloads import ClientFailed, Target, run_book, run_chat
from bench.yardstick import Yardstick
from server.accounts.keys import load_keys
from server.accounts.tokens import TokenService
from server.app.config import Config
from server.app.node import open_node
from server.ops.logs import configure_logs
from storage.embedded import EmbeddedPostgres
from storage.migrate import migrate

WORKLOADS = {"w1": run_book, "w2": run_chat}
#: Workloads that are not compared with pgbench, each with servers of its own.
COMPARED = {"w3": run_fanout, "w4": run_idle, "w6": run_timers, "w7": run_storm, "w8": run_reach}
#: Microbenchmarks of the event loop, which need no server.
STEPS = {"admit": run_admit, "signout": run_signout, "slots": run_slots}
#: Longer than any run.
TOKEN_LIFETIME_S = 3_600
EXPECTED = (NoDisk, ServerFailed, ClientFailed, TimeoutError)

console = Console()


def main(  # noqa: PLR0917  # typer makes options of them
    seconds: Annotated[int, typer.Option(min=1, max=300, help="Length of each measurement.")] = 8,
    only: Annotated[str, typer.Option(help="One workload, such as w1; empty: all.")] = "",
    committers: Annotated[int, typer.Option(min=1, max=8, help="The server's committers.")] = 1,
    profile: Annotated[bool, typer.Option(help="Profile the server; it slows it slightly.")] = False,
    write: Annotated[bool, typer.Option(help="Write the results to docs/benchmarks.md.")] = False,
    disk: Annotated[Path, typer.Option("--dir", help="A directory on a real disk.")] = DISK,
) -> None:
    """Run pgbench and the workloads in turn; exit code 1 if one of them had errors."""
    known = (*WORKLOADS, *COMPARED, *STEPS)
    names = [only] if only else known
    if not set(names) <= set(known):
        raise typer.BadParameter(f"choose from {', '.join(known)}", param_hint="--only")
    configure_logs("error", "console")
    runs: list[Measured] = []
    compared: list[Compared] = []
    wrong: dict[str, int] = {}
    try:
        if rated := [name for name in names if name in WORKLOADS]:
            runs = uvloop.run(_run(rated, seconds, committers, profile, disk))
        if others := [name for name in names if name in COMPARED]:
            compared = uvloop.run(_compare(others, seconds, disk, wrong.update))
        for name in [name for name in names if name in STEPS]:
            _say(f"measuring {name}")
            compared += uvloop.run(STEPS[name]())
    except EXPECTED as error:
        console.print(f"[red]{type(error).__name__}:[/] {error}")
        raise typer.Exit(2) from None
    for run in runs:
        wrong.update(run.wrong)
    _show(runs, compared, wrong)
    if write and not wrong:
        if runs:
            write_page(runs, seconds=seconds, committers=committers)
        if compared and not only:
            write_compared(compared)
    raise typer.Exit(1 if wrong else 0)


def _show(runs: list[Measured], compared: list[Compared], wrong: dict[str, int]) -> None:
    if runs:
        console.print(results_table(runs))
        console.print(f"targets: {targets()}", soft_wrap=True)
    if compared:
        console.print(compared_table(compared))
    for what, count in wrong.items():
        console.print(f"[red]{count} ×[/] {what}")


async def _compare(
    names: list[str], seconds: int, disk: Path, wrong: Callable[[dict[str, int]], None]
) -> list[Compared]:
    _allow_files(FILES_MIN)
    found: list[Compared] = []
    async with temporary_dir(disk) as home, open_postgres(home) as postgres:
        await migrate(postgres.dsn())
        setup = BenchSetup(home, postgres, seconds)
        for name in names:
            _say(f"preparing and measuring {name}")
            found += await COMPARED[name](setup, wrong)
    return found


def _allow_files(count: int) -> None:
    """Raise the limit of open files for this process and those that it starts."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if most == resource.RLIM_INFINITY else min(count, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


async def _run(names: list[str], seconds: int, committers: int, profile: bool, disk: Path) -> list[Measured]:
    runs: list[Measured] = []
    async with temporary_dir(disk) as home, open_postgres(home) as postgres:
        _say("filling pgbench's database")
        yardstick = Yardstick(postgres)
        await yardstick.prepare()
        _say("making the marketplace")
        market = await _make_market(home, postgres)
        profiler = Profile(home) if profile else None
        launcher = profiler.launcher if profiler else ("server",)
        settings = {"GUILDWIRE_DATABASE__COMMITTERS": str(committers)}
        async with open_server(home, postgres.dsn(), settings, launcher) as server:
            assert postgres.pid is not None
            watch: Callable[[str | None], None] = profiler.watch if profiler else lambda name: None
            target = Target(server.running.url, server.process.pid, postgres.pid, watch)
            for name in names:
                _say("measuring pgbench")
                runs.append(await yardstick.measure(seconds))
                _say(f"measuring {name}")
                runs.append(await WORKLOADS[name](target, market, seconds))
            _say("measuring pgbench")
            runs.append(await yardstick.measure(seconds))
        if profiler:
            console.print(profiler.read(), soft_wrap=True, highlight=False, markup=False)
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
