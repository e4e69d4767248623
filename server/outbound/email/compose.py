"""Writes the letter of a delivery."""

from protocol.ids import DeliveryId
from server.outbound.adapters import Needless
from server.outbound.briefing import Brief
from server.outbound.email.letter import Email


def compose_email(brief: Brief) -> Email | Needless:
    """Write the letter of a delivery."""
    if not brief.title:
        return Needless("nothing_to_tell")
    id: DeliveryId = brief.delivery.id
    return Email(id=id, to=brief.delivery.address or brief.reader.email, subject=brief.title, text=brief.body)
