"""Finds contact data in free text: links, e-mail addresses, handles, and numbers long enough to be a phone number."""

import re
import unicodedata

#: Digits in a row, or with separators between them, that count as a phone number.
RUN_DIGITS_MIN = 5
SPREAD_DIGITS_MIN = 7
#: Labels of a host name before the last that are matched; of a longer name the end is matched.
LABELS_MAX = 10

#: Repetitions are bounded or possessive, so that matching takes linear time.
_CONTACT = re.compile(
    rf"""
      (?P<email> [\w.+%-]{{1,64}}+ (?:
          @ [\w-]+ (?: \.[\w-]+ )*
        | \s? @ \s? [\w-]+ (?: \.[\w-]+ )+
        | \s? [(\[{{] \s? at \s? [)\]}}] \s? [\w-]+ (?: \.[\w-]+ )* ) )
    | (?P<link>
          \b [a-z][a-z0-9+.-]{{1,20}} :// \S*
        | \b (?: mailto | tel | sms | callto | skype | whatsapp | javascript | data ) : \S+
        | \b www\. \S+
        | \b \d{{1,3}} (?: \.\d{{1,3}} ){{3}} \b \S*
        | (?<![\w@]) (?: [\w-]{{1,63}}+\. ){{1,{LABELS_MAX}}} [^\W\d_]{{2,24}} \b (?: [/?\#:] \S* )?
        | \b [\w-]{{1,63}}+ \s? [(\[{{] \s? (?: \. | dot | punkt | punto ) \s? [)\]}}] \s? [^\W\d_]{{2,24}}
        | \b [\w-]{{1,63}}+ \s (?: dot | punkt | punto ) \s
            (?: com | net | org | info | io | me | de | it | eu | app ) \b )
    | (?P<handle> (?<!\w) @ \w{{2,}} )
    | (?P<date>
          \b \d{{1,2}} [./] \d{{1,2}} [./] (?: 19 | 20 ) \d\d \b (?! [./-]? \d )
        | \b (?: 19 | 20 ) \d\d - \d\d - \d\d \b (?! [./-]? \d ) )
    | (?P<time> (?<![\d:]) (?: [01]?\d | 2[0-4] ) : [0-5]\d (?! [\d:] ) )
    | (?P<number>
          [+(]? \d (?: [\s().,:;/·•_*+\ufe0f\u20e3-]{{0,3}} \d ){{{SPREAD_DIGITS_MIN - 1},}}
        | \d{{{RUN_DIGITS_MIN},}} )
    """,
    re.VERBOSE | re.IGNORECASE,
)
#: The placeholder of each kind; dates and times are matched so that they do not count as numbers.
_PLACEHOLDERS = {"email": "[email]", "link": "[link]", "handle": "[handle]", "number": "[number]"}


def has_contact(text: str) -> bool:
    """Whether a text contains contact data."""
    return any(match.lastgroup in _PLACEHOLDERS for match in _CONTACT.finditer(plain(text)))


def redacted(text: str) -> str:
    """The text, normalized as by ``plain``, with a placeholder for each contact."""

    def replaced(match: re.Match[str]) -> str:
        return _PLACEHOLDERS.get(match.lastgroup or "", match[0])

    return _CONTACT.sub(replaced, plain(text))


def plain(text: str) -> str:
    """The text in NFKC (full width and circled forms become plain), without invisible characters."""
    seen = "".join([char for char in text if unicodedata.category(char) not in ("Cf", "Cs")])
    return unicodedata.normalize("NFKC", seen)
