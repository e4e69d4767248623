"""Views of codes, and the queries that return them."""

from protocol.registry import View

# Commands: the server's own, around which it hashes


class CodeChecked(View, frozen=True, kw_only=True):
    """What came of sending a code back."""

    right: bool
