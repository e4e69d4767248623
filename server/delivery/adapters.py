"""The interface of channel adapters, and the outcomes that they return. One adapter a file, for one kind of provider.

Outcome
├── Sent        the provider accepted the message
├── TryLater    the provider is busy, slow or down; ``unknown`` if it may have accepted the message
├── Refused     the provider will never accept this message: no further attempt
├── Gone        the address does not exist any more: no further attempt, and the address is forgotten
└── Suppressed  nothing was sent: the message is not wanted any more
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import structlog
from msgspec import Struct

from protocol.confidential import Confidential
from protocol.delivery.channels import Channel
from protocol.ids import DeliveryId

log = structlog.get_logger(__name__)


class Message(Confidential, Struct, frozen=True, kw_only=True):
    """One message. Each channel has its own subclass."""

    #: The delivery's id, and the idempotency key for a provider that takes one.
    id: DeliveryId


class Sent(Struct, frozen=True):
    """The provider accepted the message."""

    #: The provider's id of the message.
    provider_id: str | None = None


class TryLater(Struct, frozen=True):
    """A later attempt may succeed."""

    #: A code, for operators: ``timeout``, ``http_503``, ``connection_refused``.
    reason: str
    #: The wait that the provider asks for.
    after_s: float | None = None
    #: The provider may have accepted the message.
    unknown: bool = False
    #: The failure concerns this recipient only; the provider works.
    recipient_specific: bool = False


class Refused(Struct, frozen=True):
    """No attempt with this message can succeed."""

    reason: str


class Gone(Struct, frozen=True):
    """The address does not exist any more."""

    reason: str


class Suppressed(Struct, frozen=True):
    """Nothing was sent: the message is not wanted any more, or has no address."""

    reason: str


Outcome = Sent | TryLater | Refused | Gone | Suppressed


M = TypeVar("M", bound=Message)


M_contra = TypeVar("M_contra", bound=Message, contravariant=True)


class Adapter(Protocol[M_contra]):
    """One provider of one channel."""

    @property
    def channel(self) -> Channel:
        """The channel that it serves."""

    @property
    def batch_max(self) -> int:
        """How many messages one call of ``send`` takes."""

    async def send(self, messages: Sequence[M_contra]) -> Sequence[Outcome]:
        """Send messages; returns one outcome for each, in order. Expected failures are outcomes, not exceptions."""

    async def check(self) -> str:
        """Contact the provider; returns a description of the connection. Raises: AdapterError."""

    async def close(self) -> None:
        """Close connections."""


async def send_each(send: Callable[[M], Awaitable[Outcome]], messages: Sequence[M]) -> Sequence[Outcome]:
    """Send messages concurrently; a crash becomes the outcome of its own message only."""

    async def outcome(message: M) -> Outcome:
        try:
            return await send(message)
        except Exception as error:
            log.exception("adapter.crashed", action="try_later", delivery=str(message.id), error=type(error).__name__)
            return TryLater("internal", unknown=True)

    return await asyncio.gather(*map(outcome, messages))
