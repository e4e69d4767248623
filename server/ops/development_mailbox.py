"""``/dev/mailbox``: the messages of channels without a provider, shown in a browser. Development only.

A message is shown from its JSON. Fields that every channel has get their own place; others are listed below, so a
channel may add fields without a change here.
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
#: The page shows e-mails in frames; it runs no scripts and loads nothing from other hosts.
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: An e-mail has inline styles, runs no scripts, and may open its links in a new tab.
_SANDBOX = "allow-popups allow-popups-to-escape-sandbox"
_EMAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; "
    f"base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox {_SANDBOX}"
)
#: Characters of a message's beginning that are shown before it is opened.
GIST_CHARS_MAX = 140
#: Digits of a message's number.
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
        """The routes."""
        return {
            ("GET", "/dev/mailbox"): self.show,
            ("GET", "/dev/mailbox.css"): self.style,
            ("GET", "/dev/mailbox/{number}"): self.email,
        }

    async def show(self, request: BaseRequest) -> StreamResponse:
        """One page of the mailbox, the newest message first. Raises: Invalid."""
        channel = _channel_of(request.rel_url.query.get("channel"))
        page = await read_mailbox(self._pool, channel, request.rel_url.query.get("cursor"), PAGE_LIMIT_DEFAULT)
        if "application/json" in request.headers.get("Accept", ""):
            return Response(body=msgspec.json.encode(page), headers={**_PRIVATE, "Content-Type": "application/json"})
        return _html(_page(page, channel), _POLICY)

    async def email(self, request: BaseRequest) -> StreamResponse:
        """The HTML of one e-mail. Raises: NotFound."""
        number = request[EXCHANGE].path_params["number"]
        plain = number.isascii() and number.isdigit() and len(number) <= NUMBER_DIGITS_MAX
        found = await find_message(self._pool, int(number)) if plain else None
        html = "" if found is None else str(found.message.get("html") or "")
        if not html:
            raise NotFound(entity="email")
        return _html(re.sub("(<head[^>]*>)", r'\1<base target="_blank">', html, count=1), _EMAIL_POLICY)

    async def style(self, request: BaseRequest) -> StreamResponse:
        """The page's style sheet."""
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
    nothing = '<p class="nothing">Nothing here yet. Messages appear as soon as they are due.</p>'
    return _PAGE.substitute(
        tabs="\n".join(_tab(one, channel) for one in (None, *_CHANNELS)),
        messages="\n".join(map(_message, page.items)) or nothing,
        older=older if page.next_cursor else "",
    )


def _tab(channel: Channel | None, shown: Channel | None) -> str:
    href = "/dev/mailbox" + (f"?channel={channel}" if channel else "")
    here = ' aria-current="page"' if channel is shown else ""
    return f'<a href="{href}"{here}>{_CHANNELS[channel] if channel else "All"}</a>'


def _message(message: MailboxMessage) -> str:
    """One message: a line that opens to show all of it."""
    fields = message.message
    headline, text = _first(fields, _HEADLINES), _first(fields, _TEXTS)
    gist = " ".join(text.split())[:GIST_CHARS_MAX]
    return f"""<details class="message {message.channel}">
<summary>
  <span class="channel">{_CHANNELS[message.channel]}</span>
  <span class="to">{escape(_recipient(message))}</span>
  {_time(message.at)}
  <span class="gist"><b>{escape(headline)}</b> {escape(gist)}</span>
</summary>
<div class="inside" id="m{message.id}">
{_body(message, headline, text)}
{_facts(message)}
</div>
</details>"""


def _body(message: MailboxMessage, headline: str, text: str) -> str:
    """The message, roughly as its reader would see it."""
    if message.channel in (Channel.PUSH, Channel.WEB_PUSH):
        return (
            '<div class="shade"><article class="card"><img src="/docs/icon.svg" alt="" width="36" height="36">'
            f"<div><b>{escape(headline)}</b><p>{_linked(text)}</p></div><small>now</small></article></div>"
        )
    if message.channel in (Channel.SMS, Channel.WHATSAPP):
        return f'<div class="thread"><p class="bubble">{_linked(text)}</p></div>'
    plain = f'<pre class="text">{_linked(text)}</pre>'
    if not message.message.get("html"):
        return f"<h2>{escape(headline)}</h2>{plain}"
    return (
        f'<h2>{escape(headline)}</h2><iframe src="/dev/mailbox/{message.id}" sandbox="{_SANDBOX}" loading="lazy"'
        f' title="{escape(headline)}"></iframe><details class="plain"><summary>As text</summary>{plain}</details>'
    )


def _facts(message: MailboxMessage) -> str:
    """The other fields."""
    facts = {"to": _recipient(message)} | {name: one for name, one in message.message.items() if name not in _PLACED}
    facts |= {"template": message.template, "delivery": str(message.delivery_id)}
    rows = "\n".join(
        f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{_linked(_plain(value))}</dd>"
        for name, value in facts.items()
        if value not in (None, "", [], {})
    )
    return f"<dl>{rows}</dl>"


def _first(fields: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((str(fields[name]) for name in names if fields.get(name)), "")


def _recipient(message: MailboxMessage) -> str:
    to, name = _first(message.message, _TO), str(message.message.get("to_name") or "")
    return f"{name} <{to}>" if name else to


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _time(at: datetime) -> str:
    return f'<time datetime="{at.isoformat()}">{at:%d %b %Y %H:%M:%S} UTC</time>'


def _linked(text: str) -> str:
    """The text with its URLs as links."""
    parts, end = [], 0
    for found in _LINK.finditer(text):
        href = escape(found[0])
        parts += [escape(text[end : found.start()]), f'<a href="{href}" target="_blank" rel="noreferrer">{href}</a>']
        end = found.end()
    return "".join([*parts, escape(text[end:])])
