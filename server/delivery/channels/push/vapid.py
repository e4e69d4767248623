"""The key that identifies this server to push services (VAPID, RFC 8292): a file, created at the first start.

Browsers subscribe with its public key, and push services refuse signatures of another key: nodes that share a database
share the file.
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
#: Lifetime of a signature; push services accept a day at most.
SIGNED_FOR_S = 12 * 3600
#: The contact in signatures if the operator has set none: there must be one, and the domain is reserved (RFC 2606).
NO_CONTACT = "mailto:nobody@example.com"


class VapidKey:
    """Signs requests to push services.

    Args:
        subject: the operator's contact: ``mailto:`` or ``https:``.
    """

    def __init__(self, key: ec.EllipticCurvePrivateKey, subject: str) -> None:
        self._vapid = Vapid(key)
        self.subject = subject
        point = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        self.public_key = urlsafe_b64encode(point).rstrip(b"=").decode()

    async def show(self, pool: object, query: GetVapidKey, principal: Principal | None) -> PublicKey:
        """Return the public key."""
        return PublicKey(public_key=self.public_key)

    def headers(self, endpoint: str) -> dict[str, str]:
        """The Authorization header for one push service."""
        url = urlsplit(endpoint)
        claims = {
            "aud": f"{url.scheme}://{url.netloc}",
            "sub": self.subject,
            "exp": int(time.time()) + SIGNED_FOR_S,
        }
        signed: dict[str, str] = self._vapid.sign(claims)
        return signed

    def signs(self) -> bool:
        """Whether signing works: some subjects are refused."""
        try:
            return bool(self.headers("https://push.example"))
        except VapidException:
            return False


class NoKeyYet(UnusableKey):
    """The key is created at the first start."""


def load_vapid(server: ServerConfig, push: PushConfig, *, make: bool = True) -> VapidKey:
    """Read the key, or create it if ``make`` is True. Raises: UnusableKey; NoKeyYet if there is none."""
    directory = server.keys_dir
    path = directory / FILE
    if not path.exists():
        if not make:
            raise NoKeyYet(f"{path}: created at the first start")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(path)
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise UnusableKey(f"{path}: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise UnusableKey(f"{path}: not a key on P-256")
    if subject := push.vapid_subject:
        named = VapidKey(key, subject)
        if not named.signs():
            raise UnusableKey(f"push.vapid_subject: {subject}: not a mailto: or https: URL that push services accept")
        return named
    url = urlsplit(server.url)
    named = VapidKey(key, f"https://{url.hostname}")
    return named if url.scheme == "https" and named.signs() else VapidKey(key, NO_CONTACT)


def _make(path: Path) -> None:
    """Create a key; if another process creates it at the same time, the first one stays."""
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    # Readable by its owner only from the first byte, and linked to its name when complete.
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".vapid-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        if os.geteuid() == 0:  # the user that runs the server must be able to read it
            owner = path.parent.stat()
            os.chown(draft, owner.st_uid, owner.st_gid)
        os.link(draft, path)
        log.info("push.key_made", action="sign_with", file=path.name)
    except FileExistsError:
        pass
    finally:
        os.unlink(draft)
