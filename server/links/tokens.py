"""The token of a link: who may do what to which thing, and until when, signed.

    version act expires_at user_id subject mac
      1 B   1 B    5 B      16 B     …     16 B       in base64url, without padding

It says all that is needed, so nothing of it is kept. What says the same is the same token: a link used twice is one
command under one id.
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
from server.edge.secret_file import SECRET_BYTES, UnusableKey, load_secret

#: Nothing that is longer is one of ours.
TOKEN_CHARS_MAX = 300

_KEY_FILE = "links.secret"
_VERSION = 1
_MAC_BYTES = 16
_HEAD_BYTES = 1 + 1 + 5 + 16


class Act(IntEnum):
    """What a link lets its holder do. The numbers stand in letters that were sent: they never change."""

    CANCEL = 1
    CONFIRM = 2
    UNSUBSCRIBE = 3


class Link(Struct, frozen=True, kw_only=True):
    """One thing that one person may do."""

    act: Act
    user_id: UserId
    #: A booking's id, or the name of a type of notification.
    subject: str
    #: From then on it does nothing any more; full seconds.
    expires_at: datetime


class BrokenLink(Exception):
    """Not one of ours, or not all of it."""


class LinkExpired(Exception):
    """It was one of ours. Its ``link`` says what it was for."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self.link = link


class Links:
    """Makes links and reads them.

    Args:
        url: how the outside reaches this server, without a slash at the end.
    """

    def __init__(self, key: bytes, url: str) -> None:
        self._key = key
        #: Set anew once it is known which port the server got.
        self.url = url

    def url_of(self, link: Link) -> str:
        """The address to put into a letter."""
        path = "unsubscribe" if link.act is Act.UNSUBSCRIBE else "links"
        return f"{self.url}/{path}/{self.token_of(link)}"

    def token_of(self, link: Link) -> str:
        """The token alone."""
        seconds = int(link.expires_at.timestamp()).to_bytes(5, "big")
        head = bytes((_VERSION, link.act)) + seconds + link.user_id.bytes
        said = head + (link.subject.encode() if link.act is Act.UNSUBSCRIBE else UUID(link.subject).bytes)
        return _spelled(said + self._mac(said))

    def read(self, token: str, now: datetime) -> Link:
        """Say what a token stands for. Raises: BrokenLink, LinkExpired."""
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
        said, mac = whole[:-_MAC_BYTES], whole[-_MAC_BYTES:]
        # The decoder passes over what it does not know; a token has one spelling.
        if len(said) <= _HEAD_BYTES or _spelled(whole) != token or not compare_digest(mac, self._mac(said)):
            raise BrokenLink
        return said

    def _mac(self, said: bytes) -> bytes:
        return hmac_digest(self._key, said, sha256)[:_MAC_BYTES]


def id_of(link: Link) -> str:
    """The command id of whatever the link does: the same for every use of it."""
    said = f"{int(link.act)} {link.user_id} {link.subject} {int(link.expires_at.timestamp())}"
    return f"link:{sha256(said.encode()).hexdigest()[:32]}"


def _spelled(whole: bytes) -> str:
    return urlsafe_b64encode(whole).rstrip(b"=").decode()


def _link_of(said: bytes) -> Link:
    """Raises: BrokenLink, for what a later version signed."""
    try:
        act = Act(said[1])
        if said[0] != _VERSION:
            raise BrokenLink
        subject = said[_HEAD_BYTES:]
        return Link(
            act=act,
            user_id=UserId(UUID(bytes=said[7:_HEAD_BYTES])),
            subject=subject.decode() if act is Act.UNSUBSCRIBE else str(UUID(bytes=subject)),
            expires_at=datetime.fromtimestamp(int.from_bytes(said[2:7], "big"), UTC),
        )
    except (ValueError, OverflowError):
        raise BrokenLink from None


def link_key(directory: Path) -> bytes:
    """Read the key that signs links; it is made at the first start. Raises: UnusableKey."""
    path = directory / _KEY_FILE
    key = load_secret(path).encode()
    if len(key) < SECRET_BYTES:
        raise UnusableKey(f"{path}: not a key of {SECRET_BYTES} bytes or more")
    return key
