"""SMS: what a short message is, and how one is made of a notification."""

from server.outbound.adapters import Message, Needless
from server.outbound.briefing import Brief


class Sms(Message, frozen=True, kw_only=True):
    """One short message."""

    #: E.164.
    to: str
    text: str


def compose_sms(brief: Brief) -> Sms | Needless:
    """Write the short message of a delivery."""
    to = brief.delivery.address or brief.reader.phone_number
    if to is None:
        return Needless("no_number")
    if not brief.title:
        return Needless("nothing_to_tell")
    return Sms(id=brief.delivery.id, to=to, text=brief.body if brief.kept is None else f"{brief.title}: {brief.body}")
