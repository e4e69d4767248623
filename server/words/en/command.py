"""English texts of commands and their refusals."""

from server.words.texts import NounTexts

TEXTS = NounTexts(
    terms={
        "unknown_problem": "does not fit ({problem})",
    },
    errors={
        "rejected": ("Not possible", "This is refused; nothing has changed."),
        "invalid": ("The input does not fit", "Something in the input does not fit."),
        "malformed": ("The request cannot be read", "The request is malformed ({reason})."),
        "unauthenticated": ("Please sign in", "This needs a valid access token ({reason})."),
        "forbidden": ("Not allowed", "You may not do this."),
        "not_found": ("Not found", "There is no such thing, or nothing that you may see."),
        "limit_reached": ("Too much at once", "The limit “{limit}” is reached. Try again later."),
        "conflict": ("That does not fit any more", "Something that the command relies on has changed."),
        "wrong_state": ("Not possible in this state", "The status {status} does not allow this."),
        "version_mismatch": ("It has changed meanwhile", "The current version is {version}; look again first."),
        "command_id_reused": (
            "The command id was used before",
            "The id belongs to another command or to other content.",
        ),
        "gone_from_agenda": ("No longer due", "It was cancelled or done before; nothing has changed."),
        "fault": ("Not possible right now", "Something that this needs has failed. Try again."),
        "busy": ("Very busy", "The server is busy; nothing has changed. Try again."),
        "unavailable": ("Not available right now", "The service cannot answer right now. Try again."),
        "in_flight": ("Still at work", "The same command is still being decided. Ask again with the same id."),
        "internal": ("Something went wrong", "This is our fault. Please report the incident {incident}."),
    },
    problems={
        "missing": "is missing",
        "unknown_field": "is not a known field",
        "unknown_value": "is none of the known values",
        "wrong_type": "has the wrong type",
        "bad_format": "is not in the right format",
        "bad_key": "has a key that does not fit",
        "too_long": "is too long",
        "too_short": "is too short",
        "wrong_length": "has the wrong length",
        "too_large": "is too large",
        "too_small": "is too small",
        "out_of_range": "is out of range",
        "offset_missing": "lacks its offset from UTC",
        "offset_not_allowed": "must not have an offset from UTC",
        "control_character": "contains a control character",
        "blank": "is blank",
        "lone_surrogate": "contains half a surrogate pair",
        "repeated": "is given more than once",
        "mismatch": "differs from the same value elsewhere",
        "not_https": "must be an https address, or a path of this server",
        "unknown_command": "names no command",
    },
)
