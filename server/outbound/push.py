"""Push: what a telephone or a browser shows, and how it is made of a notification."""

from protocol.ids import DeviceId
from server.outbound.adapters import Message, Needless
from server.outbound.briefing import Brief


class Push(Message, frozen=True, kw_only=True):
    """One push message to one device."""

    device_id: DeviceId
    title: str
    body: str
    #: What the app opens: ``booking/<id>``.
    entity: str
    collapse_key: str | None = None


def compose_push(brief: Brief) -> Push | Needless:
    """Make the push message of a delivery."""
    if brief.kept is None or brief.delivery.device_id is None:
        return Needless("nothing_to_tell")
    return Push(
        id=brief.delivery.id,
        device_id=brief.delivery.device_id,
        title=brief.title,
        body=brief.body,
        entity=str(brief.kept.about),
        collapse_key=brief.delivery.collapse_key,
    )
