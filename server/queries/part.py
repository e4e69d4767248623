"""Queries that need more than the pool, as a part of the server. The others register themselves."""

from protocol.service.views import FindSlots
from protocol.suggestion.views import GetSuggestions
from server.edge.job import Every, Job
from server.edge.part import Context, Part
from server.llm.service import LanguageModel
from server.llm.smart_replies import SmartReplier
from server.queries.slots import SlotFinder
from server.queries.suggestion_counter import COUNT_EVERY_S, SuggestionCounter
from server.queries.suggestions import Suggestions


def open_queries(context: Context, model: LanguageModel) -> Part:
    """Open the search for slots and the suggested replies."""
    node = context.node
    suggestions = Suggestions(SmartReplier(model, node.clock.now), node.clock.now)
    counter = SuggestionCounter(node.pool)

    async def start() -> None:
        node.agenda.every("suggestion figures", COUNT_EVERY_S, counter.look)

    return Part(
        queries={FindSlots: SlotFinder(node.sources, node.clock.now), GetSuggestions: suggestions},
        jobs=[Job("suggestions.count", Every(COUNT_EVERY_S), counter.run)],
        metrics=[counter],
        start=start,
    )
