"""Secrets that the server makes for itself at its first start and keeps in a file."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from secrets import token_urlsafe

SECRET_BYTES = 32


def kept_secret(path: Path, prefix: str = "") -> str:
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
