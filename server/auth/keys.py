"""The keys that sign access tokens: files of this node, made at the first start, and easily followed by new ones."""

import os
import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

log = structlog.get_logger(__name__)

#: Files are ``token-0001.pem``, ``token-0002.pem`` …; the last one signs, all of them verify.
KEYS_MAX = 9_999
_PATTERN = "token-[0-9][0-9][0-9][0-9].pem"


class UnusableKey(Exception):
    """A key file is there and cannot be used; the message names it."""


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """One key that signs, and all those whose signatures are taken."""

    key_id: str
    private: Ed25519PrivateKey
    #: Key id → key.
    public: Mapping[str, Ed25519PublicKey]


def load_keys(directory: Path) -> SigningKeys:
    """Read the keys, making the first one if there is none. Raises: UnusableKey."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not any(directory.glob(_PATTERN)):
        add_key(directory)
    keys = [_read(path) for path in sorted(directory.glob(_PATTERN))]
    return SigningKeys(_id_of(keys[-1]), keys[-1], {_id_of(key): key.public_key() for key in keys})


def add_key(directory: Path) -> None:
    """Make a key that signs from the next start on; the older files verify until somebody removes them."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    # Readable by its owner alone from the first byte on, and under its name only once it is whole.
    descriptor, draft = tempfile.mkstemp(dir=directory, prefix=".token-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        path = _link_next(directory, draft)
    finally:
        os.unlink(draft)
    log.info("auth.key_made", action="sign_with", file=path.name)


def _link_next(directory: Path, draft: str) -> Path:
    """Give the draft the first free name; somebody else may be doing the same."""
    last = max((int(path.stem[-4:]) for path in directory.glob(_PATTERN)), default=0)
    for number in range(last + 1, KEYS_MAX + 1):
        path = directory / f"token-{number:04}.pem"
        try:
            os.link(draft, path)
        except FileExistsError:
            continue
        return path
    raise UnusableKey(f"{directory}: {KEYS_MAX} keys are enough")


def _read(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise UnusableKey(f"{path}: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UnusableKey(f"{path}: not an Ed25519 key")
    return key


def _id_of(key: Ed25519PrivateKey) -> str:
    """Name a key by its public half, so that every node that has it calls it the same."""
    digest = sha256(key.public_key().public_bytes_raw()).digest()
    return urlsafe_b64encode(digest[:12]).decode()
