"""Reading request bodies: bounded in size and time, and checked for their media type."""

import asyncio
from http import HTTPStatus

from aiohttp.web import BaseRequest, RequestPayloadError

from protocol.errors import Malformed, Rejected
from server.edge.limits import BODY_BYTES_MAX, BODY_TIMEOUT_S

_EMPTY_BODY = b"{}"


class BodyTooLarge(Rejected):
    """The body is longer than what this route takes. Fields: ``bytes_max``."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class UnsupportedMediaType(Rejected):
    """The media type is not JSON in UTF-8, or the body is compressed. Fields: ``header``, ``supported``."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class RequestTimeout(Rejected):
    """The body did not arrive in time."""

    status = HTTPStatus.REQUEST_TIMEOUT


async def read_body(request: BaseRequest, bytes_max: int = BODY_BYTES_MAX) -> bytes:
    """Read the body, never holding more than ``bytes_max`` of it. Raises: BodyTooLarge, RequestTimeout."""
    content = request.content
    if content.is_eof():
        body = content.read_nowait()
    else:
        if (request.content_length or 0) > bytes_max:
            raise BodyTooLarge(bytes_max=bytes_max)
        await _continue(request)
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                body = await _collect(request, bytes_max)
        except TimeoutError:
            raise RequestTimeout() from None
    if len(body) > bytes_max:
        raise BodyTooLarge(bytes_max=bytes_max)
    return body


async def _collect(request: BaseRequest, bytes_max: int) -> bytes:
    body = bytearray()
    try:
        while chunk := await request.content.readany():
            body += chunk
            if len(body) > bytes_max:
                break
    except (ConnectionError, RequestPayloadError):
        raise Malformed(reason="body_incomplete") from None
    return bytes(body)


async def _continue(request: BaseRequest) -> None:
    """Ask for a body that the client sends only after ``100 Continue``."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the response has not begun


async def read_json(request: BaseRequest) -> bytes:
    """Read a JSON body; an empty one is read as ``{}``. Raises: UnsupportedMediaType, as ``read_body``."""
    headers = request.headers
    if "Content-Encoding" in headers and headers["Content-Encoding"].lower() != "identity":
        raise UnsupportedMediaType(header="Content-Encoding", supported="identity")
    body = await read_body(request)
    if not body:
        return _EMPTY_BODY
    media_type = headers.get("Content-Type", "application/json")
    if media_type != "application/json":
        name, _, parameters = media_type.lower().partition(";")
        charset = parameters.partition("charset=")[2].strip(' "') or "utf-8"
        if name.strip() != "application/json" or charset not in ("utf-8", "utf8", "us-ascii"):
            raise UnsupportedMediaType(header="Content-Type", supported="application/json; charset=utf-8")
    return body
