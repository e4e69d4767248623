"""The command line: run the server, play the demo, audit the database, check an installation."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
import uvloop
from rich.console import Console
from rich.text import Text

from server.app.config import Config, load_config
from server.edge.config import ConfigError
from server.ops.logs import configure_logs

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
keys_app = typer.Typer(no_args_is_help=True, help="The keys that sign access tokens: list, rotate, retire.")
app.add_typer(keys_app, name="keys")
console = Console()
T = TypeVar("T")

CONFIG_FILE = "config.toml"
ConfigPath = Annotated[
    Path | None, typer.Option("--config", "-c", help="Configuration file; config.toml in this folder if there is one.")
]


@app.command()
def run(config: ConfigPath = None) -> None:
    """Serve, until SIGINT or SIGTERM; then finish what is under way."""
    from server.app.bootstrap import serve  # noqa: PLC0415  # the other commands start faster without it

    raise typer.Exit(_main(config, lambda settings: serve(settings, console)))


@app.command()
def demo(
    url: Annotated[str, typer.Option(help="A running server in development mode; empty: one of its own.")] = "",
) -> None:
    """Play one booking from sign-in to released money, with three live clients, and audit the database."""
    from protocol.errors import GuildwireError  # noqa: PLC0415
    from server.demo.story import play  # noqa: PLC0415

    configure_logs("warning", "auto")
    try:
        raise typer.Exit(uvloop.run(play(url.rstrip("/"), console)))
    except GuildwireError as error:  # no server there, or one without the accounts of the demo
        _complain(error.code, f"{url} {error.fields}")
        raise typer.Exit(1) from None


@app.command()
def verify(
    config: ConfigPath = None,
    expect_seal: Annotated[
        list[str] | None,
        typer.Option(metavar="N:HASH", help="A seal that an earlier run printed: the chain must still have it."),
    ] = None,
) -> None:
    """Audit the database: the books balance and every state follows from its journal; exit code 1 if not."""
    from server.app.nouns import import_all  # noqa: PLC0415
    from server.ops.verify_command import run_verify  # noqa: PLC0415
    from storage.chain import SealMark  # noqa: PLC0415

    import_all()

    try:
        expected = [SealMark.read(text) for text in expect_seal or ()]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--expect-seal") from None
    raise typer.Exit(_main(config, lambda settings: run_verify(settings.server, settings.database, console, expected)))


@app.command()
def replay(
    what: Annotated[str, typer.Argument(metavar="KIND/ID", help="An actor, like booking/01a1fdd7-88a2-….")],
    at: Annotated[str, typer.Option(help="Its state at an instant, like 2026-03-29T14:00:00Z.")] = "",
    version: Annotated[int | None, typer.Option(help="Its state at this version.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    config: ConfigPath = None,
) -> None:
    """Show an actor's journal and the state that it leads to; exit code 1 if it is not the stored one."""
    from server.app.nouns import import_all  # noqa: PLC0415
    from server.ops.replay import run_replay  # noqa: PLC0415

    import_all()

    def action(settings: Config) -> Awaitable[int]:
        return run_replay(settings.server, settings.database, console, what, (at, version), as_json=as_json)

    raise typer.Exit(_main(config, action))


@app.command()
def doctor(config: ConfigPath = None) -> None:
    """Check configuration, folders, keys, database and port; exit code 1 if something prevents running."""
    from server.ops.doctor import run_doctor  # noqa: PLC0415

    raise typer.Exit(_main(config, lambda settings: run_doctor(settings, console)))


@app.command()
def top(
    url: Annotated[str, typer.Option(help="A running server; empty: the one of the configured data folder.")] = "",
    interval: Annotated[float, typer.Option(help="Seconds between two looks.")] = 2.0,
    once: Annotated[
        bool, typer.Option("--once", help="Print one frame and end; exit code 1 without a server.")
    ] = False,
    config: ConfigPath = None,
) -> None:
    """Watch a running server: rates, latencies, queues, refusals, memory. Ctrl-C ends it."""
    from server.ops.pid_file import read_pid_file  # noqa: PLC0415
    from server.ops.top.shell import Top  # noqa: PLC0415

    async def watch(settings: Config) -> int:
        running = read_pid_file(Path(settings.server.data_dir))
        screen = Top(url or (running.url if running else settings.public_url), interval, console)
        return await (screen.once() if once else screen.run())

    raise typer.Exit(_main(config, watch))


@keys_app.command("list")
def keys_list(config: ConfigPath = None) -> None:
    """Show the keys of access tokens, and which one signs."""
    from server.ops.keys import show_keys  # noqa: PLC0415

    raise typer.Exit(_main(config, lambda settings: show_keys(settings.server.keys_dir, console)))


@keys_app.command("rotate")
def keys_rotate(config: ConfigPath = None) -> None:
    """Make a new key; running servers load it within seconds and sign with it a minute later."""
    from server.ops.keys import rotate_keys  # noqa: PLC0415

    def action(settings: Config) -> Awaitable[int]:
        return rotate_keys(settings.server.keys_dir, settings.auth.access_token_s, console)

    raise typer.Exit(_main(config, action))


@keys_app.command("retire")
def keys_retire(
    name: Annotated[str, typer.Argument(help="The key's file, like token-0001.")],
    force: Annotated[bool, typer.Option(help="Even if tokens that it signed still hold.")] = False,
    config: ConfigPath = None,
) -> None:
    """Remove a key; running servers refuse its tokens within seconds."""
    from server.ops.keys import retire  # noqa: PLC0415

    def action(settings: Config) -> Awaitable[int]:
        return retire(settings.server.keys_dir, settings.auth.access_token_s, console, name, force=force)

    raise typer.Exit(_main(config, action))


def _complain(what: str, why: object) -> None:
    """Print an error; brackets in it are no markup."""
    console.print(Text.assemble((f"{what}:", "red"), f" {why}"), soft_wrap=True)


def _main(path: Path | None, action: Callable[[Config], Awaitable[T]]) -> T:
    """Load the configuration and run the action under it."""
    from server.app.node import STARTUP_ERRORS  # noqa: PLC0415

    if path is None and Path(CONFIG_FILE).exists():
        path = Path(CONFIG_FILE)
    try:
        config = load_config(path, os.environ)
    except ConfigError as error:
        _complain("configuration", error)
        raise typer.Exit(2) from None
    configure_logs(config.log.level, config.log.format)

    async def body() -> T:
        return await action(config)

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(body())
    except STARTUP_ERRORS as error:
        _complain(type(error).__name__, error)
        raise typer.Exit(2) from None
