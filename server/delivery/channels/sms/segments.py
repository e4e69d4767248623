"""Counts the segments of a short message, each of which is charged, and shortens texts (3GPP TS 23.038)."""

#: Characters of a single segment, and of each of several: these have a concatenation header.
GSM_SINGLE, GSM_JOINED = 160, 153
UCS2_SINGLE, UCS2_JOINED = 70, 67

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
#: These take two characters each.
_EXTENDED = frozenset("\f^{}\\[~]|€")
#: Typographic characters outside the GSM alphabet, which would more than halve the length of a segment.
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("’‘", "'"),
        **dict.fromkeys("“”„", '"'),
        **dict.fromkeys("–—", "-"),
        **dict.fromkeys("\u00a0\t", " "),
        "‚": ",",
        "…": "...",
    }
)


def plain(text: str) -> str:
    """The text with plain quotes, dashes and spaces, if that fits it into the GSM alphabet; else unchanged."""
    plainer = text.translate(_PLAIN)
    return plainer if _gsm_sizes(plainer) is not None else text


def segments(text: str) -> int:
    """How many segments the text takes. A segment never splits a character, so there may be one more."""
    sizes, single, joined = _gsm_sizes(text), GSM_SINGLE, GSM_JOINED
    if sizes is None:
        sizes, single, joined = [1 + (character > "\uffff") for character in text], UCS2_SINGLE, UCS2_JOINED
    if sum(sizes) <= single:
        return 1
    parts, room = 1, joined
    for size in sizes:
        if size > room:
            parts, room = parts + 1, joined
        room -= size
    return parts


def fit(text: str, segments_max: int) -> str:
    """The text in at most this many segments, cut with an ellipsis; in plain characters where that helps."""
    text = plain(text)
    if segments(text) <= segments_max:
        return text
    ellipsis = "…" if _gsm_sizes(text) is None else "..."
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if segments(text[:middle] + ellipsis) <= segments_max else (low, middle - 1)
    return text[:low].rstrip() + ellipsis


def _gsm_sizes(text: str) -> list[int] | None:
    """The size of each character in the GSM alphabet; None if one is not in it."""
    sizes = [1 if character in _BASIC else 2 if character in _EXTENDED else 0 for character in text]
    return None if 0 in sizes else sizes
