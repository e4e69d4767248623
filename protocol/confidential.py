"""Structs that are kept out of logs: contact data, password hashes, codes and tokens."""


class Confidential:
    """A mixin that keeps a struct's fields out of its repr, and so out of logs and error messages."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"
