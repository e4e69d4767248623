"""The codes of what can be wrong with a field, from the errors of msgspec."""

from msgspec import ValidationError

from protocol.errors import Invalid
from server.edge.guards import invalid, join

#: The beginning of msgspec's message → our code. The first match wins.
_PROBLEMS = (
    ("Object missing required field", "missing"),
    ("Object contains unknown field", "unknown_field"),
    ("Invalid enum value", "unknown_value"),
    ("Invalid value", "unknown_value"),
    ("Invalid", "bad_format"),
    ("Integer value out of range", "out_of_range"),
    ("Number out of range", "out_of_range"),
    ("Timestamp is out of range", "out_of_range"),
)
#: What follows "Expected `type`" in msgspec's message → our code.
_EXPECTATIONS = (
    (", got", "wrong_type"),
    (" of length <", "too_long"),
    (" of length >", "too_short"),
    (" of length", "wrong_length"),
    (" matching regex", "bad_format"),
    (" with a timezone", "offset_missing"),
    (" with no timezone", "offset_not_allowed"),
    (" <", "too_large"),
    (" >", "too_small"),
)
#: How msgspec marks an error in a key of the object whose path follows.
_OF_KEY = "key` in `"


def as_invalid(error: ValidationError, prefix: str = "") -> Invalid:
    """Convert msgspec's error into ours: a path and a stable code. Its message is for us, not for the client."""
    text, at, where = str(error).rpartition(" - at `")
    if not at:
        text, where = where, ""
    of_key = where.startswith(_OF_KEY)
    path = where.removeprefix(_OF_KEY).removesuffix("`").removeprefix("$").removeprefix(".")
    problem = "bad_key" if of_key else _problem(text, error.__cause__)
    if problem in ("missing", "unknown_field"):
        name = text.partition("`")[2].rpartition("`")[0]
        path = f"{path}.{name}" if path else name
    return invalid({join(prefix, path): problem})


def _problem(text: str, cause: BaseException | None) -> str:
    if cause is not None:
        return str(getattr(cause, "code", "invalid"))
    for beginning, problem in _PROBLEMS:
        if text.startswith(beginning):
            return problem
    expectation = text.removeprefix("Expected `").partition("`")[2]
    for beginning, problem in _EXPECTATIONS:
        if expectation.startswith(beginning):
            return problem
    return "invalid"
