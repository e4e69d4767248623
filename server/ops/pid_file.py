"""The pid file of a running server in its data folder, by which other commands find it and its database."""

import os
from pathlib import Path

import msgspec
from msgspec import Struct

NOTE = "running.json"


class Running(Struct, frozen=True, kw_only=True):
    """The server of a data folder: its address, database and process."""

    url: str
    dsn: str
    pid: int


def write_pid_file(data_dir: Path, running: Running) -> None:
    """Write the file; only its owner may read it, as the DSN may contain a password."""
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
    """Remove the file: the server has stopped."""
    (data_dir / NOTE).unlink(missing_ok=True)
