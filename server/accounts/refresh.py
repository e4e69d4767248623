"""Refresh tokens: 256 random bits that only the client keeps, with the ids of user and session.

The first half of the bits, the family, is the same in all tokens of a session: by it an old token is known from one
that was never given out.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from hashlib import sha256
from secrets import token_bytes
from typing import NamedTuple
from uuid import UUID

from protocol.errors import Unauthenticated
from protocol.ids import SessionId, UserId

#: Lets scanners for leaked secrets recognise the token.
PREFIX = "gwr_"
SECRET_BYTES = 32
FAMILY_BYTES = 16
ID_BYTES = 16


class RefreshToken(NamedTuple):
    """A parsed token."""

    user_id: UserId
    session_id: SessionId
    secret: bytes

    @property
    def hash(self) -> bytes:
        """SHA-256 of the secret; of it, the server stores only this and ``family_hash``."""
        return sha256(self.secret).digest()

    @property
    def family_hash(self) -> bytes:
        """SHA-256 of what all tokens of the session share."""
        return sha256(self.secret[:FAMILY_BYTES]).digest()

    @property
    def text(self) -> str:
        """The token as the client keeps it."""
        body = urlsafe_b64encode(self.user_id.bytes + self.session_id.bytes + self.secret).rstrip(b"=").decode()
        return PREFIX + body


def make_refresh_token(user_id: UserId, session_id: SessionId) -> RefreshToken:
    """Make the first token of a session."""
    return RefreshToken(user_id, session_id, token_bytes(SECRET_BYTES))


def make_successor(token: RefreshToken) -> RefreshToken:
    """Make another token of the same session."""
    return token._replace(secret=token.secret[:FAMILY_BYTES] + token_bytes(SECRET_BYTES - FAMILY_BYTES))


def parse_refresh_token(text: str) -> RefreshToken:
    """Parse a token; the user's actor decides whether it is valid. Raises: Unauthenticated."""
    body = text.removeprefix(PREFIX)
    try:
        packed = urlsafe_b64decode(body + "=" * (-len(body) % 4))
    except (Base64Error, ValueError) as error:
        raise Unauthenticated(reason="invalid") from error
    if body == text or len(packed) != 2 * ID_BYTES + SECRET_BYTES:
        raise Unauthenticated(reason="invalid")
    user_id, session_id, secret = packed[:ID_BYTES], packed[ID_BYTES : 2 * ID_BYTES], packed[2 * ID_BYTES :]
    return RefreshToken(UserId(UUID(bytes=user_id)), SessionId(UUID(bytes=session_id)), secret)
