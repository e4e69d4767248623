"""Refresh tokens: 256 random bits that only the client knows, with the ids that lead to their session."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from hashlib import sha256
from secrets import token_bytes
from typing import NamedTuple
from uuid import UUID

from protocol.errors import Unauthenticated
from protocol.ids import SessionId, UserId

#: Makes tokens recognisable to scanners for leaked secrets.
PREFIX = "gwr_"
SECRET_BYTES = 32
ID_BYTES = 16


class RefreshToken(NamedTuple):
    """The parts of a token."""

    user_id: UserId
    session_id: SessionId
    #: SHA-256 of the secret: all that the server keeps.
    hash: bytes


def make_refresh_token(user_id: UserId, session_id: SessionId) -> tuple[str, bytes]:
    """Make a token; returns it and the hash to store."""
    secret = token_bytes(SECRET_BYTES)
    body = urlsafe_b64encode(user_id.bytes + session_id.bytes + secret).rstrip(b"=").decode()
    return PREFIX + body, sha256(secret).digest()


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
    return RefreshToken(UserId(UUID(bytes=user_id)), SessionId(UUID(bytes=session_id)), sha256(secret).digest())
