"""A booking's story in words (rule B-27): its journal, told with names, amounts and the times of its own zone."""

from collections.abc import Mapping
from datetime import datetime

from msgspec.structs import asdict

from protocol.booking.terms import DeclineReason
from protocol.booking.views import GetTimeline, Timeline, TimelineEntry
from protocol.events import Event
from protocol.ids import SYSTEM, UserId
from protocol.instants import zone_info
from protocol.money import Money, PriceSnapshot, to_major
from protocol.payment.terms import GATEWAY
from protocol.roles import Principal
from storage.database import Pool
from storage.queries.booking import Story, StoryEntry, get_story
from storage.registry import answers

#: event type → what happened. In braces: the event's fields, ``total`` of a price, ``customer``, ``staff``.
#: ``type:code`` goes before ``type`` for an event with that reason or cause.
TEXTS: Mapping[str, str] = {
    "booking.created": "{customer} booked {title} with {staff} for {starts_at}, at {total}.",
    "payment.requested": "{customer} went to pay {amount}.",
    "booking.paid": "{amount} was paid and is held until the job is done.",
    "booking.approved": "{by} took the job.",
    "booking.confirmed": "The booking is confirmed.",
    "booking.declined": "{by} declined the job: {reason}.",
    "booking.declined:NO_ANSWER": "Nobody answered in time, so the job went back.",
    "booking.cancelled": "{by} called the booking off.",
    "booking.abandoned": "No other way was found before the start, so the booking was cancelled.",
    "booking.expired": "Nobody paid in time, so the booking expired.",
    "booking.revived": "The payment came late, but the time was still free: the booking is back.",
    "booking.started": "The job began.",
    "booking.completed": "The job was done. The money is released by {release_at} at the latest.",
    "booking.released:customer": "{customer} was content: {amount} was released.",
    "booking.released:time": "Nobody objected in time: {amount} was released.",
    "booking.refunded": "{amount} went back to {customer}’s wallet.",
    "booking.reminded": "{customer} was reminded of the start at {starts_at}.",
    "payment.unplaced": "{amount} came that the booking has no place for; it goes back to where it came from.",
    "payment.returned": "{amount} was sent back to where it came from.",
}
#: An event that this server has no words for, such as one of a newer server.
UNKNOWN = "Something happened ({type})."
SOMEBODY = "Somebody whose account is gone"
SERVER = "The server"

REASONS: Mapping[DeclineReason, str] = {
    DeclineReason.SCHEDULE_CONFLICT: "another appointment",
    DeclineReason.TOO_FAR: "too far away",
    DeclineReason.UNWELL: "unwell",
    DeclineReason.SAFETY: "safety",
    DeclineReason.SKILL_MISMATCH: "not the right skills",
    DeclineReason.EQUIPMENT: "equipment is missing",
    DeclineReason.OTHER: "other reasons",
    DeclineReason.NO_ANSWER: "no answer",
}


@answers(GetTimeline)
async def timeline(pool: Pool, query: GetTimeline, principal: Principal) -> Timeline:
    """Tell a booking's story to one of its parties. Raises: NotFound."""
    story = await get_story(pool, query, principal)
    entries = [_entry(story, entry) for entry in story.entries]
    return Timeline(booking_id=story.booking_id, number=story.number, entries=entries)


def _entry(story: Story, entry: StoryEntry) -> TimelineEntry:
    return TimelineEntry(
        version=entry.version,
        at=entry.at,
        type=entry.type,
        text=text_of(story, entry),
        by=None if entry.by in (SYSTEM, GATEWAY) else entry.by,
    )


def text_of(story: Story, entry: StoryEntry) -> str:
    """One sentence for one event."""
    if entry.event is None:
        return UNKNOWN.format(type=entry.type)
    code = getattr(entry.event, "reason_code", None) or getattr(entry.event, "cause", None)
    text = TEXTS.get(f"{entry.type}:{code}") or TEXTS.get(entry.type, UNKNOWN)
    return text.format_map({"type": entry.type, **_words(story, entry.event)})


def _words(story: Story, event: Event) -> dict[str, str]:
    """What may stand in a sentence about the event."""
    fields = asdict(event)
    words = {name: _time(value, story.zone) for name, value in fields.items() if isinstance(value, datetime)}
    words |= {name: value for name, value in fields.items() if isinstance(value, str)}
    words["customer"] = _name(story, story.customer_id)
    words["staff"] = _name(story, fields.get("staff_id", story.staff_id))
    if "by" in fields:
        words["by"] = _name(story, fields["by"])
    if "amount_minor" in fields:
        words["amount"] = _amount(Money(fields["amount_minor"], fields["currency"]))
    if "price" in fields:
        price: PriceSnapshot = fields["price"]
        words["total"] = _amount(Money(price.total_minor, price.currency))
    if "reason_code" in fields:
        words["reason"] = REASONS[fields["reason_code"]]
    return words


def _name(story: Story, user_id: UserId) -> str:
    return SERVER if user_id in (SYSTEM, GATEWAY) else story.names.get(user_id, SOMEBODY)


def _time(at: datetime, zone: str) -> str:
    """Like ``Mon 2 March 2026, 15:00 CET``."""
    local = at.astimezone(zone_info(zone))
    return f"{local:%a} {local.day} {local:%B %Y, %H:%M %Z}"


def _amount(money: Money) -> str:
    return f"{to_major(money)} {money.currency}"
