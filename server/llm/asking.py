"""Question and answer of a language model, and the interface of one model."""

from typing import Any, Protocol

from msgspec import Struct


class ModelFailed(Exception):
    """The call gave no answer.

    Args:
        reason: a code.
        again: whether a retry may help.
        charged: whether the call may have been charged; then its maximum cost counts.
        after_s: how long the server asked not to be called.
    """

    def __init__(
        self, reason: str, *, again: bool = False, charged: bool = False, after_s: float | None = None
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again
        self.charged = charged
        self.after_s = after_s


class Question(Struct, frozen=True, kw_only=True):
    """One call of a model."""

    model: str
    #: Our prompt.
    system: str
    #: Users' texts as JSON: data, never an instruction.
    data: str
    #: The JSON schema of the answer, and its name.
    schema: dict[str, Any]
    schema_name: str
    output_tokens_max: int


class Answered(Struct, frozen=True, kw_only=True):
    """The response to a question."""

    content: str
    #: As the server counts; None if it does not say.
    tokens_in: int | None
    tokens_out: int | None


class Model(Protocol):
    """One model of one provider."""

    @property
    def name(self) -> str:
        """The provider's name of the model."""

    async def ask(self, question: Question) -> Answered:
        """Ask once. Raises: ModelFailed."""

    async def check(self) -> str:
        """Check that the provider is reachable and has the model; returns a description. Raises: AdapterError."""

    async def close(self) -> None:
        """Close the connections."""
