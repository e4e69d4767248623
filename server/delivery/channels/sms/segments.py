"""How many parts a short message takes, which is what it costs, and how to keep it within some (3GPP TS 23.038)."""

#: Characters of one part, and of each one where there are several: those share a header that joins them.
GSM_ALONE, GSM_JOINED = 160, 153
UCS2_ALONE, UCS2_JOINED = 70, 67

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
#: They take two characters each.
_EXTENDED = frozenset("\f^{}\\[~]|€")
#: What typography made of plain characters, and would cost half of every part.
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
    """The text with plain quotes, dashes and spaces, if that lets it go by the small alphabet; else as it is."""
    plainer = text.translate(_PLAIN)
    return plainer if _gsm_sizes(plainer) is not None else text


def segments(text: str) -> int:
    """How many parts the text takes. None ends within a character: it may be one more than its length says."""
    sizes, alone, joined = _gsm_sizes(text), GSM_ALONE, GSM_JOINED
    if sizes is None:
        sizes, alone, joined = [1 + (character > "\uffff") for character in text], UCS2_ALONE, UCS2_JOINED
    if sum(sizes) <= alone:
        return 1
    parts, room = 1, joined
    for size in sizes:
        if size > room:
            parts, room = parts + 1, joined
        room -= size
    return parts


def fit(text: str, segments_max: int) -> str:
    """The text, in plain characters where that helps, cut with an ellipsis to so many parts."""
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
    """What each character takes in the small alphabet; None if one is not in it."""
    sizes = [1 if character in _BASIC else 2 if character in _EXTENDED else 0 for character in text]
    return None if 0 in sizes else sizes
