"""Serves a document that is made once: with an entity tag, and compressed for those who accept it."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import msgspec
from aiohttp.web import BaseRequest, Response, StreamResponse

from server.edge.entity_tags import names
from server.edge.handlers import JSON_HEADERS

#: A higher level saves little.
GZIP_LEVEL = 6


@dataclass
class Document:
    """A JSON document. It changes with the server's version; clients revalidate it by its tag.

    Args:
        make: returns the document; run at the first request.
    """

    make: Callable[[], object]

    async def serve(self, request: BaseRequest) -> StreamResponse:
        """Respond with the document, or 304 if the client has it."""
        headers = {
            **JSON_HEADERS,
            "Cache-Control": "no-cache",
            "Vary": "Accept-Encoding",
            # Weak: the plain and the compressed document have the same tag.
            "ETag": f'W/"{self._tag}"',
        }
        if names(request.headers.get("If-None-Match"), self._tag):
            return Response(status=304, headers=headers)
        if accepts_gzip(request.headers.get("Accept-Encoding", "")):
            return Response(body=self._compressed, headers={**headers, "Content-Encoding": "gzip"})
        return Response(body=self._plain, headers=headers)

    @cached_property
    def _plain(self) -> bytes:
        return msgspec.json.encode(self.make())

    @cached_property
    def _compressed(self) -> bytes:
        return gzip.compress(self._plain, GZIP_LEVEL, mtime=0)

    @cached_property
    def _tag(self) -> str:
        return blake2b(self._plain, digest_size=8).hexdigest()


def accepts_gzip(header: str) -> bool:
    """Whether ``Accept-Encoding`` allows gzip (RFC 9110 §12.5.3); a coding of its own goes before ``*``."""
    weights: dict[str, bool] = {}
    for part in header.split(","):
        coding, _, parameter = part.partition(";")
        name, _, weight = parameter.partition("=")
        refused = name.strip().lower() == "q" and weight.strip().rstrip("0") in ("", "0.", ".")
        weights[coding.strip().lower()] = not refused
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", False)))
