"""The language model, as a part of the server."""

from dataclasses import dataclass
from datetime import timedelta

from server.edge.job import Every, Job, removing
from server.edge.part import Context, Part
from server.llm.config import LlmConfig
from server.llm.service import LanguageModel, model_of
from storage.retention import sweeping

#: Cached answers that have expired are deleted this often.
CACHE_SWEEP_EVERY_S = 3600
#: How long the records of what users have cost are kept.
SPENDING_KEPT = timedelta(days=90)


@dataclass(frozen=True, kw_only=True)
class LlmPart(Part):
    """The part, and the model that other parts ask."""

    model: LanguageModel


def open_llm(context: Context, config: LlmConfig) -> LlmPart:
    """Open the configured model; without one, local rules answer."""
    node = context.node
    provider = model_of(config)
    model = LanguageModel(provider, config, node.pool, node.clock.now)

    async def stop() -> None:
        if provider is not None:
            await provider.close()

    forget_cache = removing(node.pool, timedelta(0), sweeping("llm_cache", "expires_at"))
    forget_spending = removing(node.pool, SPENDING_KEPT, sweeping("llm_spending", "day"))
    return LlmPart(
        model=model,
        metrics=[model.figures],
        jobs=[
            Job("forget_llm_cache", Every(CACHE_SWEEP_EVERY_S), forget_cache),
            Job("forget_llm_spending", context.nightly, forget_spending),
        ],
        stop=stop,
    )
