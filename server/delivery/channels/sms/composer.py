"""Composes short messages from notifications and codes."""

from datetime import datetime

from server.delivery.adapters import Message, Suppressed
from server.delivery.channels.sms.segments import fit
from server.delivery.context import DeliveryContext

#: Segments of one message; each one is charged.
SEGMENTS_MAX = 3


class Sms(Message, frozen=True, kw_only=True):
    """One short message."""

    #: E.164.
    to: str
    text: str
    #: From then on the provider must not deliver it. None: delivered however late.
    expires_at: datetime | None = None


def compose_sms(context: DeliveryContext) -> Sms | Suppressed:
    """Compose the short message of a delivery. An opted-out number gets none, not even a critical one (rule N-3)."""
    if context.opted_out:
        return Suppressed("stopped")
    to = context.delivery.address or context.reader.phone_number
    if to is None:
        return Suppressed("no_number")
    if not context.title:
        return Suppressed("nothing_to_tell")
    titled = context.delivery.notification_id is not None
    text = f"{context.title}: {context.body}" if titled and context.body else context.body or context.title
    return Sms(id=context.delivery.id, to=to, text=fit(text, SEGMENTS_MAX), expires_at=context.delivery.expires_at)
