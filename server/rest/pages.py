"""The server's own pages: the entrance, the API documentation, and one for each problem code."""

import re
from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from html import escape
from pathlib import Path
from string import Template

from aiohttp.web import BaseRequest, Response, StreamResponse

from protocol.errors import ERRORS, NotFound
from server.edge.entity_tags import names
from server.edge.exchange import EXCHANGE
from server.edge.handlers import PlainHandler
from server.words.languages import ENGLISH

WEB = Path(__file__).parents[1] / "web" / "docs"
#: A page loads nothing from other origins and connects only to its own server.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: How long a browser may cache the assets of a page.
ASSET_MAX_AGE_S = 300

_CODE = re.compile(r"``(.+?)``")
_ASSETS = {
    "docs.css": "text/css; charset=utf-8",
    "docs.js": "text/javascript; charset=utf-8",
    "dom.js": "text/javascript; charset=utf-8",
    "schema.js": "text/javascript; charset=utf-8",
    "try.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


def docs_pages() -> dict[tuple[str, str], PlainHandler]:
    """Serve ``/docs``: the page and its assets, from files of the server."""
    pages: dict[tuple[str, str], PlainHandler] = {
        ("GET", f"/docs/{name}"): _file(name, media_type, cached=True) for name, media_type in _ASSETS.items()
    }
    pages["GET", "/docs"] = _file("index.html", "text/html; charset=utf-8", cached=False)
    return pages


def entrance_page(links: Mapping[str, tuple[str, str]], version: str) -> PlainHandler:
    """Serve ``/``. ``links`` maps an address to its title and description."""
    items = "\n".join(
        f'<li><a href="{escape(href)}"><strong>{escape(title)}</strong><span>{escape(about)}</span></a></li>'
        for href, (title, about) in links.items()
    )
    body = _template("entrance.html").substitute(links=items, version=escape(version)).encode()

    async def entrance(request: BaseRequest) -> StreamResponse:
        """The entrance, with links to all other pages."""
        return _page(body)

    return entrance


async def problem_page(request: BaseRequest) -> StreamResponse:
    """Explain a problem's code; the problem's ``type`` links here."""
    code = request[EXCHANGE].path_params["code"]
    error = ERRORS.get(code)
    if error is None:
        raise NotFound(entity="problem")
    text = ENGLISH.texts.errors.get(code)
    title = text[0] if text else code.replace("_", " ").capitalize()
    about = _CODE.sub(r"<code>\1</code>", escape((error.__doc__ or "").strip()))
    page = _template("problem.html").substitute(
        code=escape(code), status=int(error.status), title=escape(title), about=about
    )
    return _page(page.encode())


def _file(name: str, media_type: str, *, cached: bool) -> PlainHandler:
    body = (WEB / name).read_bytes()
    tag = blake2b(body, digest_size=8).hexdigest()
    headers = {
        "Content-Type": media_type,
        "ETag": f'"{tag}"',
        "Cache-Control": f"public, max-age={ASSET_MAX_AGE_S}" if cached else "no-cache",
        "Content-Security-Policy": PAGE_POLICY,
    }

    async def serve(request: BaseRequest) -> StreamResponse:
        if names(request.headers.get("If-None-Match"), tag):
            return Response(status=304, headers=headers)
        return Response(body=body, headers=headers)

    return serve


@cache
def _template(name: str) -> Template:
    return Template((WEB / name).read_text(encoding="utf-8"))


def _page(body: bytes) -> Response:
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-cache",
        "Content-Security-Policy": PAGE_POLICY,
    }
    return Response(body=body, headers=headers)
