"""The sandbox gateway's page: what is to pay, a button, and how the gateway is to behave."""

from html import escape
from pathlib import Path
from string import Template
from typing import NamedTuple
from urllib.parse import parse_qsl

from protocol.money import Money, to_major
from storage.queries.payment import Payment

_HERE = Path(__file__).parent
_PAGE = Template((_HERE / "checkout.html").read_text(encoding="utf-8"))
STYLE = (_HERE / "checkout.css").read_bytes()

#: Ways to misbehave that a payment can be asked with → what they mean.
OPTIONS = {
    "slow": "tell the merchant some seconds later",
    "twice": "tell it twice at the same time",
    "out_of_order": "tell an earlier step afterwards",
    "late": "tell it when the payment window is over",
}
FIELDS_MAX = 16
RETURN_TO_CHARS_MAX = 500

_POLICY = (
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; img-src data:"
)


class Asked(NamedTuple):
    """What a form or an address asks for."""

    options: frozenset[str]
    #: A page of this server to go to afterwards; empty: back to the checkout.
    return_to: str


def asked_of(text: bytes) -> Asked:
    """Read options and the way back; what is unknown is passed over."""
    try:
        fields = dict(parse_qsl(text.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX))
    except ValueError:
        return Asked(frozenset(), "")
    return_to = fields.get("return_to", "")
    plain = return_to.isascii() and return_to.isprintable() and "\\" not in return_to
    if not plain or return_to[:1] != "/" or return_to[1:2] == "/" or len(return_to) > RETURN_TO_CHARS_MAX:
        return_to = ""
    return Asked(frozenset(OPTIONS) & frozenset(fields), return_to)


def page_headers() -> dict[str, str]:
    """The headers of the page."""
    return {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-store",
        "Content-Security-Policy": _POLICY,
    }


def checkout_page(payment: Payment, *, accepted: bool, asked: Asked) -> bytes:
    """Render the page in the state that the payment is in."""
    amount = Money(payment.amount_minor, payment.currency)
    waiting = payment.status == "REQUESTED" and accepted
    return _PAGE.substitute(
        refresh='<meta http-equiv="refresh" content="2">' if waiting else "",
        merchant=escape(payment.business_name or "Guildwire"),
        title=escape(payment.title),
        number=escape(payment.number),
        amount=escape(f"{to_major(amount):,}"),
        currency=escape(payment.currency),
        action=_form(payment, asked) if payment.status == "REQUESTED" and not accepted else _note(payment, waiting),
    ).encode()


def _form(payment: Payment, asked: Asked) -> str:
    boxes = "\n".join(
        f'<label><input type="checkbox" name="{name}"{" checked" if name in asked.options else ""}>'
        f"<span><b>{name.replace('_', ' ')}</b> {escape(about)}</span></label>"
        for name, about in OPTIONS.items()
    )
    return f"""
    <form method="post" action="/gateway/checkout/{payment.payment_id}/pay">
      <input type="hidden" name="return_to" value="{escape(asked.return_to)}">
      <button type="submit">Pay</button>
      <details{" open" if asked.options else ""}><summary>How the gateway behaves</summary>{boxes}</details>
    </form>"""


def _note(payment: Payment, waiting: bool) -> str:
    if waiting:
        return '<p class="note wait" role="status">Accepted. The merchant is being told …</p>'
    text = {
        "CAPTURED": "Paid. Thank you!",
        "REFUNDING": "The money is on its way back to you.",
        "REFUNDED": "The money was sent back to you.",
    }.get(payment.status, "")
    return f'<p class="note" role="status">{escape(text)}</p>'
