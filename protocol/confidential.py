"""Users: who somebody is, what they may act as, and where they are signed in.

Contact data and password hashes are rows; events, states and replies hold ids, codes and the SHA-256 of refresh tokens.
"""


class Confidential:
    """Keeps a struct's content out of logs and error messages."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"
