"""The pid file: by it, other commands find a running server of the same data folder, and its database."""

import os
from pathlib import Path

import msgspec
from msgspec import Struct

PID_FILE = "running.json"


class Running(Struct, frozen=True, kw_only=True):
    """The address, database and process of a running server."""

    url: str
    #: Host and port on which it listens; behind a proxy they differ from ``url``.
    listens_at: str = ""
    dsn: str
    pid: int


def write_pid_file(data_dir: Path, running: Running) -> None:
    """Write the file, readable by its owner only: the DSN may contain a password."""
    path = data_dir / PID_FILE
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(running))


def read_pid_file(data_dir: Path) -> Running | None:
    """The running server of this data folder; None if there is none."""
    try:
        running = msgspec.json.decode((data_dir / PID_FILE).read_bytes(), type=Running)
        os.kill(running.pid, 0)
    except (OSError, msgspec.MsgspecError):
        return None
    return running


def remove_pid_file(data_dir: Path) -> None:
    """Delete the file when the server stops."""
    (data_dir / PID_FILE).unlink(missing_ok=True)
