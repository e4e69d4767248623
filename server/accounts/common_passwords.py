"""The passwords that attackers try first, and their usual variations: Summer2024, P@ssw0rd, letmein123.

A password is compared in lower case, without digits and signs at its end, and with letters for the digits and signs
that resemble them.
"""

import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path

#: Digits and signs at the end of a password that add nothing: a year and a sign or two.
TAIL_MAX = 6
#: A shorter rest is no password of its own.
STEM_MIN = 4
#: Digits and signs that stand for letters; 1 and ! stand for two.
_RESEMBLING = ("4@8305$7219+", "aabeosstzigt")
_AS_I = str.maketrans(*_RESEMBLING, "") | str.maketrans("1!", "ii")
_AS_L = str.maketrans(*_RESEMBLING, "") | str.maketrans("1!", "ll")
#: Runs of neighbours: a password inside one of them is a run of keys.
_RUNS = (
    "abcdefghijklmnopqrstuvwxyz", "01234567890123456789", "qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm",
    "qwertyuiop[]", "azertyuiopqsdfghjklmwxcvbn", "1qaz2wsx3edc4rfv5tgb6yhn", "1q2w3e4r5t6y7u8i9o0p",
)  # fmt: skip
#: What the list, which is English, lacks.
_MORE = frozenset(
    {
        "passwort", "kennwort", "geheim", "geheimnis", "sommer", "herbst", "fruehling", "frühling", "hallo",
        "willkommen", "schatz", "parola", "parolachiave", "segreto", "estate", "inverno", "primavera", "autunno",
        "benvenuto", "ciao", "juventus", "autumn", "spring", "guildwire",
    }
)  # fmt: skip


@cache
def common_passwords() -> frozenset[str]:
    """The list, in lower case."""
    text = Path(__file__).with_name("common_passwords.txt").read_text()
    return _MORE | {line for line in text.splitlines() if not line.startswith("#")}


def is_common(password: str) -> bool:
    """Whether a password is one of the list, a variation of one, or a run of keys."""
    plain = unicodedata.normalize("NFKC", password).casefold()
    return any(form in common_passwords() or _is_run(form) for form in _forms(plain))


def _forms(plain: str) -> Iterator[str]:
    stem = plain.rstrip("0123456789!?.,;:-_+*#$%&/()=@ ")
    for one in {plain, stem if len(plain) - len(stem) <= TAIL_MAX and len(stem) >= STEM_MIN else plain}:
        yield from (one, one.translate(_AS_I), one.translate(_AS_L))


def _is_run(form: str) -> bool:
    return any(form in run or form in run[::-1] for run in _RUNS)
