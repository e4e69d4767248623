"""The key by which push services of browsers know this server (VAPID, RFC 8292): a file, made at the first start.

Browsers subscribe with its public half, and what is signed by another is refused: nodes that share a database share
the file.
"""

import os
import tempfile
import time
from base64 import urlsafe_b64encode
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from py_vapid import Vapid, VapidException

from protocol.device.views import GetVapidKey
from protocol.device.views import VapidKey as PublicKey
from protocol.roles import Principal
from server.delivery.config import PushConfig
from server.edge.config import ServerConfig
from server.edge.secret_file import UnusableKey

log = structlog.get_logger(__name__)

FILE = "vapid.pem"
#: How long a signature holds; push services take a day at most.
SIGNED_FOR_S = 12 * 3600
#: Who is responsible, if the operator has not said so. Nobody is there (RFC 2606), but a signature must name somebody.
NOBODY = "mailto:nobody@example.com"


class VapidKey:
    """Signs what goes to push services.

    Args:
        subject: how they reach the operator: ``mailto:`` or ``https:``.
    """

    def __init__(self, key: ec.EllipticCurvePrivateKey, subject: str) -> None:
        self._vapid = Vapid(key)
        self.subject = subject
        point = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        self.public_key = urlsafe_b64encode(point).rstrip(b"=").decode()

    async def show(self, pool: object, query: GetVapidKey, principal: Principal | None) -> PublicKey:
        """Answer with the public half."""
        return PublicKey(public_key=self.public_key)

    def headers(self, endpoint: str) -> dict[str, str]:
        """The signature for one push service, as a header."""
        url = urlsplit(endpoint)
        claims = {
            "aud": f"{url.scheme}://{url.netloc}",
            "sub": self.subject,
            "exp": int(time.time()) + SIGNED_FOR_S,
        }
        signed: dict[str, str] = self._vapid.sign(claims)
        return signed

    def signs(self) -> bool:
        """Whether a signature comes about, which not every subject lets."""
        try:
            return bool(self.headers("https://push.example"))
        except VapidException:
            return False


class NoKeyYet(UnusableKey):
    """The first start makes it."""


def load_vapid(server: ServerConfig, push: PushConfig, *, make: bool = True) -> VapidKey:
    """Read the key, making it if there is none. Raises: UnusableKey; NoKeyYet if there is none and none is made."""
    directory = server.keys_dir
    path = directory / FILE
    if not path.exists():
        if not make:
            raise NoKeyYet(f"{path}: made at the first start")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(path)
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise UnusableKey(f"{path}: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise UnusableKey(f"{path}: not a key on P-256")
    if said := push.vapid_subject:
        named = VapidKey(key, said)
        if not named.signs():
            raise UnusableKey(f"push.vapid_subject: {said}: no address of a mailbox or a site that push services take")
        return named
    url = urlsplit(server.url)
    named = VapidKey(key, f"https://{url.hostname}")
    return named if url.scheme == "https" and named.signs() else VapidKey(key, NOBODY)


def _make(path: Path) -> None:
    """Make a key; somebody else may be doing the same, and then theirs stays."""
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    # Readable by its owner alone from the first byte on, and under its name only once it is whole.
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".vapid-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        if os.geteuid() == 0:  # whoever runs the server is to read it too
            owner = path.parent.stat()
            os.chown(draft, owner.st_uid, owner.st_gid)
        os.link(draft, path)
        log.info("push.key_made", action="sign_with", file=path.name)
    except FileExistsError:
        pass
    finally:
        os.unlink(draft)
