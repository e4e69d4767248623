"""Smart replies by a language model (rule T-7): the request, and its time limit."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from actors.rules.replies import ReplyContext, usable_replies
from protocol.ids import ConversationId, UserId
from protocol.instants import zone_info
from protocol.roles import PROVIDERS, Role
from server.llm.prompts import load_prompt
from server.llm.service import LanguageModel, Use, UseRequest
from storage.queries.suggestions import SuggestionContext, ThreadJob

#: Together with the reads and writes around it, within two seconds (rule T-7).
TIMEOUT_S = 1.8
OUTPUT_TOKENS_MAX = 300
#: More replies, or longer ones, are no valid response.
RAW_REPLIES_MAX = 10
RAW_REPLY_CHARS_MAX = 500

_LANGUAGES = {"en": "English", "de": "German", "it": "Italian"}


class SmartReplies(Struct, frozen=True, forbid_unknown_fields=True):
    """The model's response."""

    replies: Annotated[list[Annotated[str, Meta(max_length=RAW_REPLY_CHARS_MAX)]], Meta(max_length=RAW_REPLIES_MAX)]


class _Job(Struct, frozen=True):
    title: str
    status: str
    #: On the wall clocks of the job's place: ``2026-06-10 14:30``.
    starts: str
    #: ``today``, ``tomorrow``, ``later`` or ``past``, so that the response can be cached for the day.
    day: str


class _Message(Struct, frozen=True, rename={"from_": "from"}):
    #: ``reader``, or what the sender is in the thread.
    from_: str
    text: str


class _Data(Struct, frozen=True):
    reader: str
    job: _Job | None
    messages: list[_Message]


SMART_REPLIES = Use(
    name="smart_replies",
    prompt=load_prompt("smart_replies.v1"),
    answer=SmartReplies,
    timeout_s=TIMEOUT_S,
    output_tokens_max=OUTPUT_TOKENS_MAX,
)


class SmartReplier:
    """Asks the model for replies, and drops invalid ones.

    Args:
        now: the domain's clock.
    """

    def __init__(self, model: LanguageModel, now: Callable[[], datetime]) -> None:
        self._model = model
        self._now = now

    async def replies(
        self, conversation_id: ConversationId, user_id: UserId, talk: SuggestionContext, context: ReplyContext
    ) -> list[str]:
        """Replies that may be shown, five at most; none if there is no model, or no valid response in time."""
        request = UseRequest(
            user_id=user_id,
            words={"language": _LANGUAGES[context.language]},
            about=f"{conversation_id} {talk.said[-1].id if talk.said else ''}",
            data=_Data(
                reader=_reader(talk.role),
                job=None if talk.job is None else _job(talk.job, self._now()),
                messages=[
                    _Message("reader" if one.sender_id == user_id else one.role or "former member", one.text)
                    for one in talk.said
                ],
            ),
        )
        answer = await self._model.ask(SMART_REPLIES, request)
        return [] if answer is None else usable_replies(answer.replies, context.language)


def _reader(role: Role) -> str:
    if role is Role.CUSTOMER:
        return "customer"
    return "business" if role in PROVIDERS else "marketplace"


def _job(job: ThreadJob, now: datetime) -> _Job:
    zone = zone_info(job.zone)
    starts = job.starts_at.astimezone(zone)
    ahead = (starts.date() - now.astimezone(zone).date()).days
    day = "past" if ahead < 0 else ("today", "tomorrow")[ahead] if ahead < 2 else "later"
    return _Job(title=job.title, status=job.status.value, starts=f"{starts:%Y-%m-%d %H:%M}", day=day)
