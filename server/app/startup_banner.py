"""What a start and a stop print: progress of the demo data, the server's addresses, and the end.

On a terminal and in a pipe these are lines for people, never wrapped; with ``log.format = "json"``, log events.
"""

from dataclasses import dataclass

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from server.app.config import Config
from server.demo.accounts import ADMIN_EMAIL, CUSTOMER_EMAIL, DEMO_PASSWORD, OWNER_EMAIL, STAFF_EMAIL
from server.demo.marketplace import make_marketplace
from server.edge.node import Node

log = structlog.get_logger()

#: Width of the names before the values of the banner.
_NAMES_WIDTH = 10


@dataclass(frozen=True, slots=True)
class Screen:
    """Reports the server's life to its operator.

    Args:
        json: as log events rather than as lines for people.
    """

    console: Console
    json: bool = False

    def ready(self, url: str, config: Config) -> None:
        """The server serves under this address."""
        if self.json:
            log.info("server.ready", url=url, development=config.dev.enabled)
            return
        self._print(Text("\n").append("Guildwire", "bold").append(" is ready"))
        for name, value in _banner(url, config):
            self._print(Text(name.ljust(_NAMES_WIDTH)).append(value, "bold" if name == "address" else ""))
        self._print(Text("Ctrl-C stops it.\n"))

    def stopping(self) -> None:
        """The server begins to stop."""
        if self.json:
            log.info("server.stopping")
        else:
            self._print(Text("stopping: finishing requests under way first"))

    def stopped(self) -> None:
        """The server has stopped."""
        if self.json:
            log.info("server.stopped")
        else:
            self._print(Text("stopped"))

    def _print(self, line: Text) -> None:
        self.console.print(line, soft_wrap=True)


def _banner(url: str, config: Config) -> list[tuple[str, str]]:
    lines = [
        ("address", url),
        ("API", f"{url}/docs"),
        ("live", f"{url.replace('http', 'ws', 1)}/v1/socket  (docs/protocol.md)"),
        ("health", f"{url}/ready   metrics {url}/metrics"),
    ]
    if config.dev.enabled:
        lines += [
            ("accounts", f"{CUSTOMER_EMAIL}  {STAFF_EMAIL}"),
            ("", f"{OWNER_EMAIL}  {ADMIN_EMAIL}"),
            ("password", DEMO_PASSWORD),
            ("mailbox", f"{url}/dev/mailbox  (development: messages of channels without a provider)"),
            ("clock", f"POST {url}/dev/clock  (development: time can be moved)"),
        ]
    return lines


async def make_demo_data(node: Node, screen: Screen) -> None:
    """Make or complete the demo marketplace, with a progress bar."""
    columns = (TextColumn("demo marketplace"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=screen.console, transient=True, disable=screen.json) as progress:
        task = progress.add_task("", total=None)

        def progressed(done: int, total: int, what: str) -> None:
            progress.update(task, completed=done, total=total, description=what)

        await make_marketplace(node, progressed)
