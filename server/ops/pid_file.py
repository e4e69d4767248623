"""The note that a running server leaves in its data folder, so that other commands find it and its database."""

import os
from pathlib import Path

import msgspec
from msgspec import Struct

NOTE = "running.json"


class Running(Struct, frozen=True, kw_only=True):
    """Where a server of this data folder listens, and where its database does."""

    url: str
    dsn: str
    pid: int


def write_pid_file(data_dir: Path, running: Running) -> None:
    """Write the note; only its owner may read it, for the DSN may hold a password."""
    path = data_dir / NOTE
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(running))


def read_pid_file(data_dir: Path) -> Running | None:
    """The server that runs on this data folder; None if none does."""
    try:
        running = msgspec.json.decode((data_dir / NOTE).read_bytes(), type=Running)
        os.kill(running.pid, 0)
    except (OSError, msgspec.MsgspecError):
        return None
    return running


def remove_pid_file(data_dir: Path) -> None:
    """Nobody runs here any more."""
    (data_dir / NOTE).unlink(missing_ok=True)
