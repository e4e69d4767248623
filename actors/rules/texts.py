"""Validation of user texts: at least one visible character, and no control characters."""

import re
import unicodedata

#: Control characters except tab and line feed, and unpaired surrogates.
_UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
#: Tabs and line breaks.
_LINE_END = re.compile(r"[\t\n\u2028\u2029]")
#: Embeddings, overrides and isolates: they turn the text around a name around.
_DIRECTION = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
#: General categories of which a character can be seen: letters, numbers, punctuation, symbols.
_VISIBLE = frozenset("LNPS")
#: Members of those categories that are blank: fillers of Hangul, the empty Braille cell, a null note head.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\U0001d159")


def text_problem(text: str, *, lines: bool = True) -> str | None:
    """The problem of a text, as a code; None: it is valid.

    Args:
        lines: whether it may have line breaks and tabs, and control its direction, as names and titles may not.
    """
    if text.isascii() and text.isprintable():  # the usual case, in two passes in C
        return None if text.strip() else "blank"
    if _UNFIT.search(text) or (not lines and (_LINE_END.search(text) or _DIRECTION.search(text))):
        return "control_character"
    return None if any(map(_visible, text)) else "blank"


def _visible(char: str) -> bool:
    return unicodedata.category(char)[0] in _VISIBLE and char not in _BLANK
