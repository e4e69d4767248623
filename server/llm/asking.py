"""What a language model is asked, and answers.

ModelFailed      no answer: why, whether another try may help, and whether this one may be charged
"""

from typing import Any, Protocol

from msgspec import Struct


class ModelFailed(Exception):
    """There is no answer.

    Args:
        reason: a code.
        again: another try may help.
        charged: it may have cost as much as it could.
        after_s: the server asked to be let alone for so long.
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
    """What is asked."""

    model: str
    #: What we say.
    system: str
    #: What people wrote, as JSON: data, never an instruction.
    data: str
    #: The form of the answer, and its name.
    schema: dict[str, Any]
    schema_name: str
    output_tokens_max: int


class Answered(Struct, frozen=True, kw_only=True):
    """What came back."""

    content: str
    #: As the server counts; None: it does not say.
    tokens_in: int | None
    tokens_out: int | None


class Model(Protocol):
    """One model of one provider."""

    @property
    def name(self) -> str:
        """What the provider calls it."""

    async def ask(self, question: Question) -> Answered:
        """Ask once. Raises: ModelFailed."""

    async def check(self) -> str:
        """Say how it is reached, having asked its provider. Raises: AdapterError."""

    async def close(self) -> None:
        """Let go of connections."""
