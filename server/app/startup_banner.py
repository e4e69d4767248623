"""What the terminal shows at a start: progress of the demo data, then the startup banner."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from server.app.config import Config
from server.demo.accounts import ADMIN_EMAIL, CUSTOMER_EMAIL, DEMO_PASSWORD, OWNER_EMAIL, STAFF_EMAIL
from server.demo.marketplace import make_marketplace
from server.edge.node import Node


async def make_demo_data(node: Node, console: Console) -> None:
    """Make the demo marketplace, or finish it, with a progress bar."""
    columns = (TextColumn("demo marketplace"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None)

        def progressed(done: int, total: int, what: str) -> None:
            progress.update(task, completed=done, total=total, description=what)

        await make_marketplace(node, progressed)


def print_banner(url: str, config: Config, console: Console) -> None:
    """Print the addresses of the server and, in development, the demo accounts."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_row("address", f"[bold]{url}[/]")
    table.add_row("API", f"{url}/docs")
    table.add_row("live", f"{url.replace('http', 'ws', 1)}/v1/socket  (docs/protocol.md)")
    table.add_row("health", f"{url}/ready   metrics {url}/metrics")
    if config.dev.enabled:
        table.add_row("accounts", f"{CUSTOMER_EMAIL}  {STAFF_EMAIL}")
        table.add_row("", f"{OWNER_EMAIL}  {ADMIN_EMAIL}")
        table.add_row("password", DEMO_PASSWORD)
        table.add_row("mailbox", f"{url}/dev/mailbox  (development: what would have gone out)")
        table.add_row("clock", f"POST {url}/dev/clock  (development: time can be moved)")
    console.print("\n[bold]Guildwire[/] is ready")
    console.print(table)
    console.print("Ctrl-C stops it.\n")
