"""Requests to a language model and their responses.

ModelFailed      no answer: why, whether another try may help, and whether this one may be charged
"""

from typing import Any, Protocol

from msgspec import Struct


class ModelFailed(Exception):
    """There is no response.

    Args:
        reason: a code.
        again: a retry may help.
        charged: it may have cost as much as it could.
        after_s: how long the server asks to wait before the next request.
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
    """A request to a model."""

    model: str
    #: Our instructions.
    system: str
    #: What people wrote, as JSON: data, never an instruction.
    data: str
    #: The schema of the response, and its name.
    schema: dict[str, Any]
    schema_name: str
    output_tokens_max: int


class Answered(Struct, frozen=True, kw_only=True):
    """The response."""

    content: str
    #: As the server counts; None if it does not report them.
    tokens_in: int | None
    tokens_out: int | None


class Model(Protocol):
    """One model of one provider."""

    @property
    def name(self) -> str:
        """Its name at the provider."""

    async def ask(self, question: Question) -> Answered:
        """Ask once. Raises: ModelFailed."""

    async def check(self) -> str:
        """Check that the provider has it; returns its name and address. Raises: AdapterError."""

    async def close(self) -> None:
        """Close the connections."""
