"""Entity tags (RFC 9110 §8.8): versions in ``If-Match``, and tags of documents in ``If-None-Match``.

An entity's tag is its version in quotes. Weak and strong tags are compared alike: a version stands for the entity's
state, whatever bytes a proxy made of it.
"""

import re

from server.edge.guards import invalid

#: Digits of a version; a longer number is no version of ours.
VERSION_DIGITS_MAX = 18

_TAG = re.compile(r'[ \t]*(?:(?:W/)?"([^\x00-\x20"\x7f]*)"[ \t]*)?(,|\Z)')
#: A version, also with the suffix that some servers append to the tag of what they compress.
_VERSION = re.compile(rf"([0-9]{{1,{VERSION_DIGITS_MAX}}})(?:(?:--?|;)(?:gzip|br|zstd|deflate))?", re.ASCII)

Versions = int | frozenset[int]


def expected_versions(text: str | None) -> Versions | None:
    """Read ``If-Match``: the version, or the versions of a list; None expects nothing, as does ``*``.

    A tag that is no version matches no entity. Raises: Invalid.
    """
    if text is None or text.strip() == "*":
        return None
    tags = _tags(text)
    if not tags:
        raise invalid({"If-Match": "bad_format"}, note='versions in quotes, like "7"')
    versions = {int(found[1]) for tag in tags if (found := _VERSION.fullmatch(tag))}
    return versions.pop() if len(versions) == 1 else frozenset(versions)


def names(text: str | None, tag: str) -> bool:
    """Whether ``If-None-Match`` names a tag, given without its quotes. A malformed header names none."""
    return text is not None and (text.strip() == "*" or tag in _tags(text))


def _tags(text: str) -> list[str]:
    """The tags of a list, without ``W/`` and quotes; none if it is malformed."""
    tags: list[str] = []
    at, more = 0, ","
    while more:
        found = _TAG.match(text, at)
        if found is None:
            return []
        if found[1] is not None:
            tags.append(found[1])
        at, more = found.end(), found[2]
    return tags
