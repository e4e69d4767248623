"""Renders e-mails: HTML with inlined styles, as mail programs need it, and plain text."""

from pathlib import Path
from typing import NamedTuple

from css_inline import CSSInliner
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from server.delivery.channels.email.content import EmailContent
from server.words.languages import Language

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(("html",)),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
#: Media queries (dark or light) cannot be inlined and stay.
_INLINER = CSSInliner(load_remote_stylesheets=False, keep_at_rules=True)


class Rendered(NamedTuple):
    """The two parts of an e-mail."""

    html: str
    text: str


def render(content: EmailContent, language: Language, brand: str) -> Rendered:
    """Render both parts."""
    fields = {"email": content, "lang": language.code, "say": language.say, "brand": brand}
    html = _TEMPLATES.get_template(f"{content.layout}.html").render(fields)
    text = _TEMPLATES.get_template(f"{content.layout}.txt").render(fields)
    return Rendered(_INLINER.inline(html), text.strip() + "\n")
