"""Views of codes, and the queries that return them."""

from protocol.registry import View

# Replies


class CodeChecked(View, frozen=True, kw_only=True):
    """The result of checking a code."""

    right: bool
