"""Gives letters their looks: HTML with its style in every element, as mail programs want it, and the same as text."""

from pathlib import Path
from typing import NamedTuple

from css_inline import CSSInliner
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from server.delivery.channels.email.content import Content
from server.words.languages import Language

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(("html",)),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
#: What a screen decides (dark or light) cannot be inlined, and stays.
_INLINER = CSSInliner(load_remote_stylesheets=False, keep_at_rules=True)


class Rendered(NamedTuple):
    """A letter's two parts."""

    html: str
    text: str


def render(content: Content, language: Language, brand: str) -> Rendered:
    """Make both parts."""
    fields = {"letter": content, "lang": language.code, "say": language.say, "brand": brand}
    html = _TEMPLATES.get_template(f"{content.layout}.html").render(fields)
    text = _TEMPLATES.get_template(f"{content.layout}.txt").render(fields)
    return Rendered(_INLINER.inline(html), text.strip() + "\n")
