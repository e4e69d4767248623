"""Validation of user texts: at least one visible character, and no control characters."""

import re

#: Control characters except tab and line feed, and unpaired surrogates.
_UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
#: A visible character: not a space, zero-width character or direction mark.
_VISIBLE = re.compile(r"[^\s\xad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
#: Tabs and line breaks.
_LINE_END = re.compile(r"[\t\n\u2028\u2029]")


def text_problem(text: str, *, lines: bool = True) -> str | None:
    """The problem of a text, as a code; None: it is valid.

    Args:
        lines: whether line breaks and tabs are allowed.
    """
    if text.isprintable():  # the usual case, in one pass in C
        return None if text.strip() else "blank"
    if _UNFIT.search(text) or (not lines and _LINE_END.search(text)):
        return "control_character"
    return None if _VISIBLE.search(text) else "blank"
