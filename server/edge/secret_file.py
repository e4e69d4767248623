"""Secret files: keys in the data folder that are made at the first start and readable by the server alone."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from secrets import token_urlsafe


class UnusableKey(Exception):
    """A key file exists and cannot be used; the message names it."""


SECRET_BYTES = 32


def load_secret(path: Path, prefix: str = "") -> str:
    """Read the secret; if there is none, make one, durably, and readable by its owner only.

    Raises: UnusableKey for a secret that is cut or too short to be one.
    """
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".secret-")
        with os.fdopen(descriptor, "w") as file:
            file.write(prefix + token_urlsafe(SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
        os.unlink(draft)
        _sync_directory(path.parent)
    secret = path.read_text()
    if len(secret.removeprefix(prefix)) < SECRET_BYTES:
        raise UnusableKey(
            f"{path}: not a secret of {SECRET_BYTES} characters or more; restore it, or delete it for a new one"
        )
    return secret


def _sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
