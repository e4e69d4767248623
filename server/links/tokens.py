"""The token of a link: user, action, subject and expiry, signed.

    version action expires_at user_id subject mac
      1 B    1 B      5 B      16 B     …     16 B       in base64url, without padding

Tokens are not stored. Equal links have equal tokens, so a link used twice sends one command id.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from datetime import UTC, datetime
from enum import IntEnum
from hashlib import sha256
from hmac import compare_digest
from hmac import digest as hmac_digest
from pathlib import Path
from uuid import UUID

from msgspec import Struct

from protocol.ids import UserId
from server.edge.secret_file import load_secret

#: A longer token is not one of ours.
TOKEN_CHARS_MAX = 300

_KEY_FILE = "links.secret"
_VERSION = 1
_MAC_BYTES = 16
_HEAD_BYTES = 1 + 1 + 5 + 16


class LinkAction(IntEnum):
    """What a link allows. The numbers are in sent e-mails and never change."""

    CANCEL = 1
    CONFIRM = 2
    UNSUBSCRIBE = 3
    NOT_ME = 4


class Link(Struct, frozen=True, kw_only=True):
    """One action that a user may take."""

    action: LinkAction
    user_id: UserId
    #: The id of a booking or a session, or a template's name.
    subject: str
    #: From then on the link is refused; full seconds.
    expires_at: datetime


class BrokenLink(Exception):
    """The token is not one of ours, or incomplete."""


class LinkExpired(Exception):
    """The token has expired; ``link`` is its content."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self.link = link


class Links:
    """Makes and reads links.

    Args:
        url: the public URL of this server, without a trailing slash.
    """

    def __init__(self, key: bytes, url: str) -> None:
        self._key = key
        #: Replaced when the server's port is known.
        self.url = url

    def url_of(self, link: Link) -> str:
        """The URL for an e-mail."""
        path = "unsubscribe" if link.action is LinkAction.UNSUBSCRIBE else "links"
        return f"{self.url}/{path}/{self.token_of(link)}"

    def token_of(self, link: Link) -> str:
        """The token without a URL."""
        seconds = int(link.expires_at.timestamp()).to_bytes(5, "big")
        head = bytes((_VERSION, link.action)) + seconds + link.user_id.bytes
        content = head + (link.subject.encode() if link.action is LinkAction.UNSUBSCRIBE else UUID(link.subject).bytes)
        return _encode(content + self._mac(content))

    def read(self, token: str, now: datetime) -> Link:
        """Verify and decode a token. Raises: BrokenLink, LinkExpired."""
        link = _link_of(self._verified(token))
        if now >= link.expires_at:
            raise LinkExpired(link)
        return link

    def _verified(self, token: str) -> bytes:
        if len(token) > TOKEN_CHARS_MAX or not token.isascii():
            raise BrokenLink
        try:
            whole = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except (NotBase64, ValueError):
            raise BrokenLink from None
        content, mac = whole[:-_MAC_BYTES], whole[-_MAC_BYTES:]
        # The decoder ignores unknown characters; a token has only one valid spelling.
        if len(content) <= _HEAD_BYTES or _encode(whole) != token or not compare_digest(mac, self._mac(content)):
            raise BrokenLink
        return content

    def _mac(self, content: bytes) -> bytes:
        return hmac_digest(self._key, content, sha256)[:_MAC_BYTES]


def id_of(link: Link) -> str:
    """The command id of a link: the same for every use."""
    content = f"{int(link.action)} {link.user_id} {link.subject} {int(link.expires_at.timestamp())}"
    return f"link:{sha256(content.encode()).hexdigest()[:32]}"


def _encode(whole: bytes) -> str:
    return urlsafe_b64encode(whole).rstrip(b"=").decode()


def _link_of(content: bytes) -> Link:
    """Decode verified content. Raises: BrokenLink for an unknown version or action."""
    try:
        action = LinkAction(content[1])
        if content[0] != _VERSION:
            raise BrokenLink
        subject = content[_HEAD_BYTES:]
        return Link(
            action=action,
            user_id=UserId(UUID(bytes=content[7:_HEAD_BYTES])),
            subject=subject.decode() if action is LinkAction.UNSUBSCRIBE else str(UUID(bytes=subject)),
            expires_at=datetime.fromtimestamp(int.from_bytes(content[2:7], "big"), UTC),
        )
    except (ValueError, OverflowError):
        raise BrokenLink from None


def link_key(directory: Path) -> bytes:
    """Read the key that signs links; it is created at the first start. Raises: UnusableKey."""
    return load_secret(directory / _KEY_FILE).encode()
