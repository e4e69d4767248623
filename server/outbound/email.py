"""E-mail: what a letter is, and how one is made of a notification."""

from protocol.ids import DeliveryId
from server.outbound.adapters import Message, Needless
from server.outbound.briefing import Brief


class Email(Message, frozen=True, kw_only=True):
    """One letter."""

    to: str
    subject: str
    text: str


def compose_email(brief: Brief) -> Email | Needless:
    """Write the letter of a delivery."""
    if not brief.title:
        return Needless("nothing_to_tell")
    id: DeliveryId = brief.delivery.id
    return Email(id=id, to=brief.delivery.address or brief.reader.email, subject=brief.title, text=brief.body)
