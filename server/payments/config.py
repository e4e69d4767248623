"""The section of the configuration that payments read."""

from server.edge.config import Section


class PaymentsConfig(Section, frozen=True, kw_only=True):
    """[payments]: the gateway's shared secrets, newest first; made at first start for the sandbox if there are none."""

    webhook_secrets: tuple[str, ...] = ()
