"""The page that a link opens: no script, no external resources, not cached."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from aiohttp.web import Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from msgspec import Struct

from server.words.languages import Language

_HERE = Path(__file__).parent
_STYLE = (_HERE / "page.css").read_text(encoding="utf-8")
_TEMPLATE = Environment(loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined).get_template(
    "page.html"
)
#: Allows only the page's own style, and its form to post to itself.
PAGE_POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": PAGE_POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}


class Page(Struct, frozen=True, kw_only=True):
    """The content of a page."""

    status: int
    title: str
    lead: str
    #: Label and value.
    details: Sequence[tuple[str, str]] = ()
    #: The button's label; empty: no button.
    button: str = ""


def render(page: Page, language: Language, brand: str, headers: Mapping[str, str]) -> Response:
    """Render the response."""
    text = _TEMPLATE.render(
        lang=language.code,
        style=Markup(_STYLE),  # our own file, without a closing tag
        brand=brand,
        title=page.title,
        lead=page.lead,
        details=page.details,
        button=page.button,
        harmless=language.say("page.harmless"),
    )
    return Response(status=page.status, body=text.encode(), headers={**PAGE_HEADERS, **headers})
