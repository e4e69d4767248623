"""Suggested replies (rule T-7): always five, from a thread's end and its job, in the reader's language."""

from collections.abc import Callable
from datetime import datetime

import structlog

from actors.rules.replies import (
    CONTEXT_MESSAGES_MAX,
    ContextMessage,
    ReplyContext,
    fill_up,
    reply_digest,
    suggestion_id,
)
from protocol.ids import SuggestionId
from protocol.roles import Principal
from protocol.suggestion.terms import ReplySource
from protocol.suggestion.views import GetSuggestions, SuggestionsView
from server.llm.smart_replies import SMART_REPLIES, SmartReplier
from server.words.languages import language
from storage.database import UNWRITABLE, Pool
from storage.queries.suggestions import SuggestionContext, read_suggestion_context
from storage.suggestions import ShownSuggestions, record_shown

log = structlog.get_logger(__name__)

#: The name of the local rules where prompts are named.
LOCAL_RULES = "local"


class Suggestions:
    """Handles ``GetSuggestions``.

    Args:
        replier: asks the model for replies; local rules add what is missing.
        now: the domain's clock.
    """

    def __init__(self, replier: SmartReplier, now: Callable[[], datetime]) -> None:
        self._replier = replier
        self._now = now

    async def __call__(self, pool: Pool, query: GetSuggestions, principal: Principal) -> SuggestionsView:
        """Suggest five replies to a member of the thread. Raises: NotFound."""
        talk = await read_suggestion_context(pool, query, principal, CONTEXT_MESSAGES_MAX)
        context = reply_context_of(talk, principal)
        thought = await self._replier.replies(query.conversation_id, principal.user_id, talk, context)
        replies = fill_up(thought, context)
        last_id = talk.said[-1].id if talk.said else None
        shown = ShownSuggestions(
            id=SuggestionId(suggestion_id(query.conversation_id, principal.user_id, last_id, *replies)),
            conversation_id=query.conversation_id,
            user_id=principal.user_id,
            after_id=last_id,
            source=ReplySource.MODEL if thought else ReplySource.LOCAL,
            prompt=SMART_REPLIES.prompt.name if thought else LOCAL_RULES,
            digests=[reply_digest(reply) for reply in replies],
            shown_at=self._now(),
        )
        try:
            await record_shown(pool, shown)
        except UNWRITABLE as error:
            log.warning("suggestions.not_noted", action="go_uncounted", error=repr(error))
        return SuggestionsView(
            id=shown.id,
            conversation_id=query.conversation_id,
            replies=replies,
            language=context.language,
            source=shown.source,
            last_message_id=last_id,
        )


def reply_context_of(talk: SuggestionContext, principal: Principal) -> ReplyContext:
    """The context of a reply, for the rules."""
    return ReplyContext(
        language=language(talk.language).code,
        role=talk.role,
        status=None if talk.job is None else talk.job.status,
        messages=[ContextMessage(message.sender_id == principal.user_id, message.text) for message in talk.said],
    )
