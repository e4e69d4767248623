"""``/dev/mailbox``: what e-mail, push and SMS would have sent, to be read in a browser. Development only.

A message is shown from its JSON: the fields that every channel has get their place, any other one is listed below, so
that a channel may add fields without a word here.
"""

import re
from datetime import datetime
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import msgspec
from aiohttp.web import BaseRequest, Response, StreamResponse

from protocol.delivery.channels import Channel
from protocol.errors import Invalid, NotFound
from protocol.registry import PAGE_LIMIT_DEFAULT
from server.edge.exchange import EXCHANGE
from server.edge.handlers import PlainHandler
from storage.database import Pool
from storage.queries.development_mailbox import MailboxMessage, MailboxPage, find_message, read_mailbox

_WEB = Path(__file__).parents[1] / "web" / "mailbox"
_PAGE = Template((_WEB / "mailbox.html").read_text(encoding="utf-8"))
_STYLE = (_WEB / "mailbox.css").read_bytes()
#: The page shows letters in frames of their own; it runs nothing, and brings nothing from elsewhere.
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: A letter has its looks within itself, runs nothing, and may open its links in a tab of their own.
_SANDBOX = "allow-popups allow-popups-to-escape-sandbox"
_LETTER_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; "
    f"base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox {_SANDBOX}"
)
#: Characters of a message's beginning that are shown before it is opened.
GIST_CHARS_MAX = 140
#: The longest number that a letter can have.
NUMBER_DIGITS_MAX = 18

_CHANNELS = {
    Channel.EMAIL: "E-mail",
    Channel.PUSH: "Push",
    Channel.WEB_PUSH: "Web push",
    Channel.SMS: "SMS",
    Channel.WHATSAPP: "WhatsApp",
}
#: Fields with a place of their own; the rest is listed.
_HEADLINES, _TEXTS, _TO = ("subject", "title"), ("text", "body"), ("to", "device_id")
_PLACED = {*_HEADLINES, *_TEXTS, *_TO, "to_name", "html", "id"}
_LINK = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)]")


class MailboxPages:
    """Serves the mailbox, as a page or as JSON."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @property
    def routes(self) -> dict[tuple[str, str], PlainHandler]:
        """What this answers."""
        return {
            ("GET", "/dev/mailbox"): self.show,
            ("GET", "/dev/mailbox.css"): self.style,
            ("GET", "/dev/mailbox/{number}"): self.letter,
        }

    async def show(self, request: BaseRequest) -> StreamResponse:
        """One page of the mailbox, the newest message first. Raises: Invalid."""
        channel = _channel_of(request.rel_url.query.get("channel"))
        page = await read_mailbox(self._pool, channel, request.rel_url.query.get("cursor"), PAGE_LIMIT_DEFAULT)
        if "application/json" in request.headers.get("Accept", ""):
            return Response(body=msgspec.json.encode(page), headers={**_PRIVATE, "Content-Type": "application/json"})
        return _html(_page(page, channel), _POLICY)

    async def letter(self, request: BaseRequest) -> StreamResponse:
        """One letter with its looks, and nothing around it. Raises: NotFound."""
        number = request[EXCHANGE].path_params["number"]
        plain = number.isascii() and number.isdigit() and len(number) <= NUMBER_DIGITS_MAX
        found = await find_message(self._pool, int(number)) if plain else None
        html = "" if found is None else str(found.message.get("html") or "")
        if not html:
            raise NotFound(entity="letter")
        return _html(re.sub("(<head[^>]*>)", r'\1<base target="_blank">', html, count=1), _LETTER_POLICY)

    async def style(self, request: BaseRequest) -> StreamResponse:
        """How the page looks."""
        return Response(body=_STYLE, headers={"Content-Type": "text/css; charset=utf-8", "Cache-Control": "no-cache"})


_PRIVATE = {"Cache-Control": "no-store", "Vary": "Accept"}


def _channel_of(name: str | None) -> Channel | None:
    if not name:
        return None
    try:
        return Channel(name)
    except ValueError:
        raise Invalid(channel="unknown") from None


def _html(text: str, policy: str) -> Response:
    headers = {**_PRIVATE, "Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy}
    return Response(body=text.encode(), headers=headers)


def _page(page: MailboxPage, channel: Channel | None) -> str:
    query = f"channel={channel}&amp;" if channel else ""
    older = f'<a class="older" href="/dev/mailbox?{query}cursor={page.next_cursor}">Older</a>'
    nothing = '<p class="nothing">Nothing here yet. What would go out appears as soon as it is due.</p>'
    return _PAGE.substitute(
        tabs="\n".join(_tab(one, channel) for one in (None, *_CHANNELS)),
        letters="\n".join(map(_letter, page.items)) or nothing,
        older=older if page.next_cursor else "",
    )


def _tab(channel: Channel | None, shown: Channel | None) -> str:
    href = "/dev/mailbox" + (f"?channel={channel}" if channel else "")
    here = ' aria-current="page"' if channel is shown else ""
    return f'<a href="{href}"{here}>{_CHANNELS[channel] if channel else "All"}</a>'


def _letter(letter: MailboxMessage) -> str:
    """One message: a line that opens to all of it."""
    said = letter.message
    headline, text = _first(said, _HEADLINES), _first(said, _TEXTS)
    gist = " ".join(text.split())[:GIST_CHARS_MAX]
    return f"""<details class="letter {letter.channel}">
<summary>
  <span class="channel">{_CHANNELS[letter.channel]}</span>
  <span class="to">{escape(_recipient(letter))}</span>
  {_time(letter.at)}
  <span class="gist"><b>{escape(headline)}</b> {escape(gist)}</span>
</summary>
<div class="inside" id="m{letter.id}">
{_body(letter, headline, text)}
{_facts(letter)}
</div>
</details>"""


def _body(letter: MailboxMessage, headline: str, text: str) -> str:
    """What the person would see, about as they would see it."""
    if letter.channel in (Channel.PUSH, Channel.WEB_PUSH):
        return (
            '<div class="shade"><article class="card"><img src="/docs/icon.svg" alt="" width="36" height="36">'
            f"<div><b>{escape(headline)}</b><p>{_linked(text)}</p></div><small>now</small></article></div>"
        )
    if letter.channel in (Channel.SMS, Channel.WHATSAPP):
        return f'<div class="thread"><p class="bubble">{_linked(text)}</p></div>'
    plain = f'<pre class="text">{_linked(text)}</pre>'
    if not letter.message.get("html"):
        return f"<h2>{escape(headline)}</h2>{plain}"
    return (
        f'<h2>{escape(headline)}</h2><iframe src="/dev/mailbox/{letter.id}" sandbox="{_SANDBOX}" loading="lazy"'
        f' title="{escape(headline)}"></iframe><details class="plain"><summary>As text</summary>{plain}</details>'
    )


def _facts(letter: MailboxMessage) -> str:
    """Whatever else is known of it."""
    facts = {"to": _recipient(letter)} | {name: one for name, one in letter.message.items() if name not in _PLACED}
    facts |= {"template": letter.template, "delivery": str(letter.delivery_id)}
    rows = "\n".join(
        f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{_linked(_plain(value))}</dd>"
        for name, value in facts.items()
        if value not in (None, "", [], {})
    )
    return f"<dl>{rows}</dl>"


def _first(said: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((str(said[name]) for name in names if said.get(name)), "")


def _recipient(letter: MailboxMessage) -> str:
    to, name = _first(letter.message, _TO), str(letter.message.get("to_name") or "")
    return f"{name} <{to}>" if name else to


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _time(at: datetime) -> str:
    return f'<time datetime="{at.isoformat()}">{at:%d %b %H:%M:%S}</time>'


def _linked(text: str) -> str:
    """Text with its addresses as links."""
    parts, end = [], 0
    for found in _LINK.finditer(text):
        href = escape(found[0])
        parts += [escape(text[end : found.start()]), f'<a href="{href}" target="_blank" rel="noreferrer">{href}</a>']
        end = found.end()
    return "".join([*parts, escape(text[end:])])
