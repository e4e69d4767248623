"""The texts of errors; ``protocol.errors`` has only codes and fields."""

from collections.abc import Mapping
from typing import Any

from server.words.languages import Text, language

#: Fields of a refused input that are named.
PROBLEMS_SHOWN_MAX = 8


def error_text(code: str, fields: Mapping[str, Any], tag: str = "en") -> Text:
    """Title and sentence of an error; if a field of the sentence is missing, the sentence is the title."""
    lang = language(tag)
    title, sentence = lang.error(code)
    if code == "invalid" and fields:
        shown = list(fields.items())[:PROBLEMS_SHOWN_MAX]
        return Text(title, "; ".join(lang.problem(path, str(problem)) for path, problem in shown) + ".")
    try:
        return Text(title, sentence.format_map(fields))
    except (KeyError, IndexError, ValueError, AttributeError):
        return Text(title, f"{title}.")
