"""Signatures of webhooks: an HMAC over the time and the raw body, in Stripe's scheme.

``t=1780308000,v1=5257a8…``: seconds since 1970, and one or more hex HMAC-SHA256 of ``t``, a dot, and the body.
"""

from collections.abc import Sequence
from hashlib import sha256
from hmac import compare_digest
from hmac import new as hmac

from server.edge.webhooks import SignatureInvalid

#: How old a signature may be, and how far ahead the sender's clock may be.
TOLERANCE_S = 300
HEADER_CHARS_MAX = 1_024
#: Signatures in one header, and secrets that are valid at once during a rotation.
SIGNATURES_MAX = 8
SECRETS_MAX = 4
#: Digits of a time.
_DIGITS_MAX = 12


def sign(body: bytes, secret: str, at_s: int) -> str:
    """Make the header for a body that is sent at this time."""
    return f"t={at_s},v1={_digest(body, secret, at_s)}"


def verify(header: str | None, body: bytes, secrets: Sequence[str], now_s: float) -> None:
    """Check that the body was signed by one of the secrets, and recently. Raises: SignatureInvalid.

    Every secret is compared with every signature in constant time, so that timing reveals nothing.
    """
    assert 0 < len(secrets) <= SECRETS_MAX, f"{len(secrets)} secrets; 1 to {SECRETS_MAX} can be valid at once"
    assert all(secrets), "a secret is empty"
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
    """Parse the time and the signatures; unknown schemes are ignored."""
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
