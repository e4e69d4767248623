"""The configuration of payments."""

from server.edge.config import Section


class PaymentsConfig(Section, frozen=True, kw_only=True):
    """[payments]: the gateway's shared secrets, newest first; without any, the sandbox makes one at first start."""

    webhook_secrets: tuple[str, ...] = ()
