"""Signatures of webhooks: an HMAC over the time and the raw body, in the scheme that Stripe made common.

``t=1780308000,v1=5257a8…``: seconds since 1970, and one or more hex HMAC-SHA256 of ``t``, a point, and the body.
"""

from collections.abc import Sequence
from hashlib import sha256
from hmac import compare_digest
from hmac import new as hmac

from server.edge.webhooks import SignatureInvalid

#: How old a signature may be, and how far ahead the sender's clock.
TOLERANCE_S = 300
HEADER_CHARS_MAX = 1_024
#: Signatures in one header, and secrets that hold at once while one follows the other.
SIGNATURES_MAX = 8
SECRETS_MAX = 4
#: Digits of a time that is looked at.
_DIGITS_MAX = 12


def sign(body: bytes, secret: str, at_s: int) -> str:
    """Make the header for a body that is sent now."""
    return f"t={at_s},v1={_digest(body, secret, at_s)}"


def verify(header: str | None, body: bytes, secrets: Sequence[str], now_s: float) -> None:
    """Check that whoever sent the body knows one of the secrets, and sent it lately. Raises: SignatureInvalid.

    Every secret is held against every signature, in constant time each, so that an answer tells nothing.
    """
    assert 0 < len(secrets) <= SECRETS_MAX, f"{len(secrets)} secrets; 1 to {SECRETS_MAX} can hold at once"
    assert all(secrets), "an empty secret is none"
    if not header:
        raise SignatureInvalid(reason="missing")
    at_s, signatures = _parse(header)
    known = False
    for secret in secrets:
        expected = _digest(body, secret, at_s).encode()
        for signature in signatures:
            known |= compare_digest(expected, signature)
    if not known:
        raise SignatureInvalid(reason="mismatch")
    if abs(now_s - at_s) > TOLERANCE_S:
        raise SignatureInvalid(reason="too_old")


def _parse(header: str) -> tuple[int, list[bytes]]:
    """The time, and the signatures; unknown schemes are passed over."""
    times: list[str] = []
    signatures: list[bytes] = []
    if len(header) <= HEADER_CHARS_MAX:
        for part in header.split(","):
            name, _, value = part.strip().partition("=")
            if name == "t":
                times.append(value)
            elif name == "v1":
                signatures.append(value.encode(errors="replace"))
    readable = len(times) == 1 and times[0].isascii() and times[0].isdigit() and len(times[0]) <= _DIGITS_MAX
    if not readable or not 0 < len(signatures) <= SIGNATURES_MAX:
        raise SignatureInvalid(reason="malformed")
    return int(times[0]), signatures


def _digest(body: bytes, secret: str, at_s: int) -> str:
    return hmac(secret.encode(), f"{at_s}.".encode() + body, sha256).hexdigest()
