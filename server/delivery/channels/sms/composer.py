"""What a short message is, and how one is made of a notification or a code."""

from datetime import datetime

from server.delivery.adapters import Message, Suppressed
from server.delivery.channels.sms.segments import fit
from server.delivery.context import DeliveryContext

#: Parts of one message, each of which costs.
SEGMENTS_MAX = 3


class Sms(Message, frozen=True, kw_only=True):
    """One short message."""

    #: E.164.
    to: str
    text: str
    #: From then on the provider is not to deliver it any more; None: late is better than never.
    expires_at: datetime | None = None


def compose_sms(brief: DeliveryContext) -> Sms | Suppressed:
    """Write the short message of a delivery. Whoever said STOP gets none, however critical it is (rule N-3)."""
    if brief.stopped:
        return Suppressed("stopped")
    to = brief.delivery.address or brief.reader.phone_number
    if to is None:
        return Suppressed("no_number")
    if not brief.title:
        return Suppressed("nothing_to_tell")
    told = brief.delivery.notification_id is not None
    text = f"{brief.title}: {brief.body}" if told and brief.body else brief.body or brief.title
    return Sms(id=brief.delivery.id, to=to, text=fit(text, SEGMENTS_MAX), expires_at=brief.delivery.expires_at)
