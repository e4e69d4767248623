"""Errors as RFC 9457 problems: the code and the fields for machines, title and detail for people."""

import math
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp.web import HTTPException, Response
from msgspec import Struct
from multidict import CIMultiDict

from protocol.errors import Forbidden, GuildwireError, Malformed, NotFound, Rejected, Unauthenticated
from server.edge.bodies import BodyTooLarge
from server.words.errors import error_text

MEDIA_TYPE = "application/problem+json"
REALM = "guildwire"
#: Fields of an error that are shown.
FIELDS_MAX = 64

_OF_STATUS: dict[int, type[GuildwireError]] = {400: Malformed, 403: Forbidden, 404: NotFound, 413: BodyTooLarge}

_encoder = msgspec.json.Encoder(enc_hook=str)


class MethodNotAllowed(Rejected):
    """The path exists, but not with this method. Fields: ``allowed``."""

    status = HTTPStatus.METHOD_NOT_ALLOWED


class NotAcceptable(Rejected):
    """None of the accepted media types is supported. Fields: ``supported``."""

    status = HTTPStatus.NOT_ACCEPTABLE


class Problem(Struct, kw_only=True, omit_defaults=True):
    """A refusal or a fault (RFC 9457)."""

    #: ``/problems/<code>``, the address of a page about it.
    type: str
    #: The same for every problem of this code.
    title: str
    status: int
    detail: str
    #: Stable, for machines.
    code: str
    #: Typed facts of the code; for ``invalid`` each field's path and what is wrong with it.
    fields: dict[str, Any] = {}
    #: The request that it happened in, as in the header X-Request-Id.
    instance: str = ""


def problem_response(error: GuildwireError, *, request_id: str, language: str, replayed: bool = False) -> Response:
    """Render an error for the client."""
    code, status = error.code, int(error.status)
    fields = dict(list(error.fields.items())[:FIELDS_MAX])
    title, detail = error_text(code, fields, language)
    notes: Iterable[str] = getattr(error, "__notes__", ())
    body = Problem(
        type=f"/problems/{code}",
        title=title,
        status=status,
        detail=" ".join([detail, *(f"({note})" for note in notes)]),
        code=code,
        fields=fields,
        instance=f"/requests/{request_id}",
    )
    headers = CIMultiDict({"Content-Type": MEDIA_TYPE, "Content-Language": language, "Cache-Control": "no-store"})
    if isinstance(delay_s := fields.get("retry_after_s"), int | float):
        headers["Retry-After"] = str(math.ceil(delay_s))
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = _challenge(fields)
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = str(fields["allowed"])
    if replayed:
        headers["Idempotency-Replayed"] = "true"
    return Response(status=status, body=_encoder.encode(body), headers=headers)


def error_of(refusal: HTTPException) -> GuildwireError | None:
    """Find our error for one that aiohttp raised in a plain handler; None for a redirect and the like."""
    kind = _OF_STATUS.get(refusal.status)
    if kind is None:
        return None
    error = kind()
    if refusal.text:
        error.add_note(refusal.text)
    return error


def _challenge(fields: dict[str, Any]) -> str:
    """RFC 6750 §3.1: an error code only if there was a token at all."""
    named = "" if fields.get("reason") == "missing_token" else ', error="invalid_token"'
    return f'Bearer realm="{REALM}"{named}'
