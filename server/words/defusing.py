"""Takes the links out of texts that other people wrote, before a message of ours contains them."""

import re

#: What mail programs and telephones make links of: a scheme, and a dot within a domain.
_LINK = re.compile(r"(?<=:)(?=//)|(?<=\w\.)(?=[^\W\d_]{2})|(?<=\w)(?=@\w)")
_BREAK = "\N{WORD JOINER}"


def defused(text: str) -> str:
    """The same text to look at, of which no program makes a link: an invisible character breaks each address.

    A stranger may have chosen it: the title of a service, the name of a business or a person.
    """
    return _LINK.sub(_BREAK, text)
