"""The section of the configuration that the language model reads."""

from typing import Annotated

from msgspec import Meta

from server.edge.config import ConfigError, HttpUrl, Section


class LlmConfig(Section, frozen=True, kw_only=True):
    """[llm]: a language model behind an OpenAI-compatible API. Without one, local rules apply."""

    #: Like ``https://api.openai.com/v1``. Empty: nothing is ever sent to a model.
    base_url: HttpUrl = ""
    model: str = ""
    #: Empty: the server needs none.
    api_key: str = ""
    #: The longest time to wait for a response; smart replies wait 1.8 s at most.
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 10.0
    #: Concurrent requests of this node.
    at_once: Annotated[int, Meta(ge=1, le=256)] = 8
    #: How long a response is cached.
    cache_s: Annotated[int, Meta(ge=1, le=86_400)] = 3600
    #: What a user may cost on a day (UTC), in millionths of a dollar.
    user_day_microdollars: Annotated[int, Meta(ge=0)] = 20_000
    #: Prices, in millionths of a dollar for a token: the same figure as dollars for a million tokens.
    input_token_microdollars: Annotated[float, Meta(ge=0)] = 0.15
    output_token_microdollars: Annotated[float, Meta(ge=0)] = 0.6

    def check(self) -> None:
        """Check that model and key go with an address. Raises: ConfigError."""
        if self.base_url and not self.model:
            raise ConfigError("llm.model: missing, with llm.base_url set")
        if self.api_key and not self.base_url:
            raise ConfigError("llm.base_url: missing, with llm.api_key set")
