"""Which texts of people's own are taken: with something to see in them, and without what no text needs."""

import re

#: Control characters but tab and line feed, and halves of surrogate pairs.
_UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
#: Something to see: neither blank nor of no width nor only a change of direction.
_VISIBLE = re.compile(r"[^\s\xad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
#: What ends a line, or looks so.
_LINE_END = re.compile(r"[\t\n\u2028\u2029]")


def text_problem(text: str, *, lines: bool = True) -> str | None:
    """What is wrong with a text, as a code; None: nothing.

    Args:
        lines: whether it may have more than one, and tabs.
    """
    if text.isprintable():  # as nearly always: one pass in C, and nothing but letters, signs and spaces
        return None if text.strip() else "blank"
    if _UNFIT.search(text) or (not lines and _LINE_END.search(text)):
        return "control_character"
    return None if _VISIBLE.search(text) else "blank"
