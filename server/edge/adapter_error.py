"""The error of an adapter that cannot work with its configuration."""


class AdapterError(Exception):
    """An adapter cannot work with its configuration; the message is for the operator."""
