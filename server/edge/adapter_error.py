"""What the adapters of providers have in common."""


class AdapterError(Exception):
    """An adapter cannot work as it is configured; the message is for the operator."""
