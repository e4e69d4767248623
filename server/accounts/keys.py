"""The keys that sign access tokens: files of this node, made at the first start, and rotated by adding files.

A running server notices new and removed files within seconds (``server.accounts.watch``). It verifies with a new key at
once, and signs with it after a while: time to copy the key to every node that has its own folder.
"""

import os
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from server.edge.secret_file import UnusableKey

log = structlog.get_logger(__name__)


#: Files are ``token-0001.pem``, ``token-0002.pem`` …; the last settled one signs, all of them verify.
KEYS_MAX = 9_999


#: A key must be this old before a running server signs with it.
SETTLE_S = 60.0


_PATTERN = "token-[0-9][0-9][0-9][0-9].pem"


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The key that signs, and all keys that verify."""

    key_id: str
    private: Ed25519PrivateKey
    #: Key id → key.
    public: Mapping[str, Ed25519PublicKey]


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A key, as ``server keys list`` shows it."""

    path: Path
    key_id: str
    #: Seconds since 1970: when the file came here.
    made_at: float
    signs: bool


def load_keys(directory: Path, *, settle_s: float = 0.0, now: Callable[[], float] = time.time) -> SigningKeys:
    """Read the keys, making the first one if there is none. Raises: UnusableKey.

    Args:
        settle_s: how old a key must be to sign, unless none is.
        now: seconds since 1970.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not any(directory.glob(_PATTERN)):
        add_key(directory)
    found = [(path, _read(path)) for path in sorted(directory.glob(_PATTERN))]
    paths = [path for path, _ in found]
    signing = _signing(paths, now() - settle_s) if settle_s else paths[-1]
    private = next(key for path, key in found if path == signing)
    return SigningKeys(_id_of(private), private, {_id_of(key): key.public_key() for _, key in found})


def list_keys(directory: Path, *, now: Callable[[], float] = time.time) -> list[KeyFile]:
    """List the keys, and which one a running server signs with. Raises: UnusableKey."""
    paths = sorted(directory.glob(_PATTERN))
    signing = _signing(paths, now() - SETTLE_S) if paths else None
    return [KeyFile(path, _id_of(_read(path)), path.stat().st_mtime, path == signing) for path in paths]


def _signing(paths: Sequence[Path], settled_before: float) -> Path:
    """The last of the settled keys; the first one if none has settled."""
    settled = [path for path in paths if path.stat().st_mtime <= settled_before]
    return settled[-1] if settled else paths[0]


def retire_key(directory: Path, name: str, *, valid_s: float, force: bool = False) -> None:
    """Remove a key; its tokens become invalid.

    Args:
        name: the file's, with or without its ending.
        valid_s: the lifetime of a token. A key that may have signed one since is kept, unless forced.

    Raises: UnusableKey if it signs, is not there, or is still needed.
    """
    keys = list_keys(directory)
    known = {key.path.stem: at for at, key in enumerate(keys)}
    at = known.get(name.removesuffix(".pem"))
    if at is None:
        raise UnusableKey(f"{directory}: there is no {name}; there are {', '.join(known) or 'none'}")
    if keys[at].signs:
        raise UnusableKey(f"{keys[at].path}: it signs; make another one first, which signs {SETTLE_S:.0f} s later")
    followed_at = max((key.made_at for key in keys[at + 1 :] if key.made_at <= time.time() - SETTLE_S), default=None)
    if not force and followed_at is not None and followed_at + SETTLE_S + valid_s > time.time():
        wait_s = followed_at + SETTLE_S + valid_s - time.time()
        raise UnusableKey(
            f"{keys[at].path}: tokens that it signed hold for up to {wait_s:.0f} s more; --force all the same"
        )
    keys[at].path.unlink()
    log.info("auth.key_retired", action="refuse_its_tokens", file=keys[at].path.name)


def add_key(directory: Path) -> Path:
    """Make a key; the older ones verify until they are retired."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
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
        if os.geteuid() == 0:  # the owner of the folder runs the server and must read it
            owner = directory.stat()
            os.chown(draft, owner.st_uid, owner.st_gid)
        path = _link_next(directory, draft)
    finally:
        os.unlink(draft)
    log.info("auth.key_made", action="sign_with", file=path.name)
    return path


def _link_next(directory: Path, draft: str) -> Path:
    """Give the draft the first free name; another process may be doing the same."""
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
    """Name a key by its public half, so that it has the same id on every node."""
    digest = sha256(key.public_key().public_bytes_raw()).digest()
    return urlsafe_b64encode(digest[:12]).decode()
