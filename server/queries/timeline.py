"""A booking's timeline (rule B-27): its journal as sentences in the reader's language, in the booking's zone."""

from datetime import datetime

from msgspec.structs import asdict

from protocol.booking.views import GetTimeline, Timeline, TimelineEntry
from protocol.events import Event
from protocol.ids import SYSTEM, UserId
from protocol.money import Money, PriceSnapshot
from protocol.payment.terms import GATEWAY
from protocol.roles import Principal
from server.words.completeness import CODE_FIELDS
from server.words.languages import Language, language
from storage.database import Pool
from storage.queries.booking import Story, StoryEntry, get_story
from storage.queries.recipient import load_language
from storage.registry import answers


@answers(GetTimeline)
async def timeline(pool: Pool, query: GetTimeline, principal: Principal) -> Timeline:
    """Return a booking's timeline to one of its parties. Raises: NotFound."""
    story = await get_story(pool, query, principal)
    lang = language(await load_language(pool, principal.user_id))
    entries = [_entry(story, entry, lang) for entry in story.entries]
    return Timeline(booking_id=story.booking_id, number=story.number, entries=entries)


def _entry(story: Story, entry: StoryEntry, lang: Language) -> TimelineEntry:
    return TimelineEntry(
        version=entry.version,
        at=entry.at,
        type=entry.type,
        text=text_of(story, entry, lang),
        by=None if entry.by in (SYSTEM, GATEWAY) else entry.by,
    )


def text_of(story: Story, entry: StoryEntry, lang: Language) -> str:
    """One sentence for one event."""
    if entry.event is None:
        return lang.term("unknown_event").format(type=entry.type)
    code = next((code for name in CODE_FIELDS if (code := getattr(entry.event, name, None))), None)
    text = lang.timeline(entry.type, code)
    return text.format_map({"type": entry.type, **_fields(story, entry.event, lang)})


def _fields(story: Story, event: Event, lang: Language) -> dict[str, str]:
    """The fields that a sentence about the event may use."""
    fields = asdict(event)
    texts = {
        name: lang.timeline_moment(value, story.zone) for name, value in fields.items() if isinstance(value, datetime)
    }
    texts |= {name: value for name, value in fields.items() if isinstance(value, str)}
    texts["customer"] = _name(story, story.customer_id, lang)
    texts["staff"] = _name(story, fields.get("staff_id", story.staff_id), lang)
    if "by" in fields:
        texts["by"] = _name(story, fields["by"], lang)
    if "amount_minor" in fields:
        texts["amount"] = lang.plain_amount(Money(fields["amount_minor"], fields["currency"]))
    if "price" in fields:
        price: PriceSnapshot = fields["price"]
        texts["total"] = lang.plain_amount(Money(price.total_minor, price.currency))
    if "reason_code" in fields:
        texts["reason"] = lang.term(f"decline.{fields['reason_code']}")
    return texts


def _name(story: Story, user_id: UserId, lang: Language) -> str:
    if user_id in (SYSTEM, GATEWAY):
        return lang.term("server")
    return story.names.get(user_id, lang.term("someone_erased"))
