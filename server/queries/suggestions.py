"""Suggested replies (rule T-7): always five, from a thread's end and its job, in the reader's language."""

from collections.abc import Callable
from datetime import datetime

import structlog

from actors.rules.replies import CONTEXT_MESSAGES_MAX, Said, Scene, five, reply_digest, suggestion_id
from protocol.ids import SuggestionId
from protocol.roles import Principal
from protocol.suggestion.terms import ReplySource
from protocol.suggestion.views import GetSuggestions, SuggestionsView
from server.llm.smart_replies import SMART_REPLIES, SmartReplier
from server.words.languages import language
from storage.database import UNWRITABLE, Pool
from storage.queries.suggestions import Talk, read_talk
from storage.suggestions import Shown, note_shown

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
        talk = await read_talk(pool, query, principal, CONTEXT_MESSAGES_MAX)
        scene = scene_of(talk, principal)
        thought = await self._replier.replies(query.conversation_id, principal.user_id, talk, scene)
        replies = five(thought, scene)
        last_id = talk.said[-1].id if talk.said else None
        shown = Shown(
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
            await note_shown(pool, shown)
        except UNWRITABLE as error:
            log.warning("suggestions.not_noted", action="go_uncounted", error=repr(error))
        return SuggestionsView(
            id=shown.id,
            conversation_id=query.conversation_id,
            replies=replies,
            language=scene.language,
            source=shown.source,
            last_message_id=last_id,
        )


def scene_of(talk: Talk, principal: Principal) -> Scene:
    """The context of a reply, for the rules."""
    return Scene(
        language=language(talk.language).code,
        role=talk.role,
        status=None if talk.job is None else talk.job.status,
        said=[Said(message.sender_id == principal.user_id, message.text) for message in talk.said],
    )
