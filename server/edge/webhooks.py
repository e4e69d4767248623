"""What the webhooks that we take in share."""

from protocol.errors import Rejected


class SignatureInvalid(Rejected):
    """The webhook's signature does not hold; ``reason`` is missing, malformed, too_old or mismatch."""

    status = 400
