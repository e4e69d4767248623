"""Secrets in files of the data folder, made at the first start and readable by the server alone."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from secrets import token_urlsafe


class UnusableKey(Exception):
    """A key file is there and cannot be used; the message names it."""


SECRET_BYTES = 32


def load_secret(path: Path, prefix: str = "") -> str:
    """Read the secret, making it if there is none: whole or not at all, and only its owner may read it."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".secret-")
        with os.fdopen(descriptor, "w") as file:
            file.write(prefix + token_urlsafe(SECRET_BYTES))
        with suppress(FileExistsError):
            os.link(draft, path)
        os.unlink(draft)
    return path.read_text()
