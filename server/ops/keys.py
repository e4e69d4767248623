"""``server keys``: lists, rotates and retires the keys of access tokens; running servers notice by themselves."""

from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from server.accounts.keys import SETTLE_S, add_key, list_keys, retire_key


async def show_keys(folder: Path, console: Console) -> int:
    """List the keys; returns the exit code. Raises: UnusableKey."""
    table = Table("file", "key id", "since", "", box=None, header_style="bold")
    for key in list_keys(folder):
        since = datetime.fromtimestamp(key.made_at, UTC).isoformat(timespec="seconds")
        table.add_row(key.path.stem, key.key_id, since, "signs" if key.signs else "verifies")
    console.print(table)
    return 0


async def rotate_keys(folder: Path, valid_s: int, console: Console) -> int:
    """Make the next key; returns the exit code. Raises: UnusableKey."""
    path = add_key(folder)
    console.print(f"{path.stem} is made; running servers sign with it in {SETTLE_S:.0f} s", highlight=False)
    console.print(
        f"nodes with a folder of their own need a copy before that; retire the one before in"
        f" {SETTLE_S + valid_s:.0f} s",
        highlight=False,
        soft_wrap=True,
    )
    return 0


async def retire(folder: Path, valid_s: int, console: Console, name: str, *, force: bool) -> int:
    """Remove a key; returns the exit code. Raises: UnusableKey if it is still needed."""
    retire_key(folder, name, valid_s=valid_s, force=force)
    console.print(Text(f"{name.removesuffix('.pem')} is removed; running servers refuse its tokens within seconds"))
    return 0
