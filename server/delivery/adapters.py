"""What a channel's adapter gets, does and answers. One adapter a file; each speaks to one kind of provider.

Outcome
├── Sent        the provider took it
├── TryLater    not now: it is busy, slow or down; ``unknown`` if it may have taken it all the same
├── Refused     never in this form: the attempt is the last one
├── Gone        the address is no more: the attempt is the last one, and the address is forgotten
└── Needless    not wanted any more; nothing was sent
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
    """What a channel sends. Each channel has its own, with what it needs besides."""

    #: The delivery's id; the idempotency key for a provider that takes one.
    id: DeliveryId


class Sent(Struct, frozen=True):
    """The provider took it."""

    #: The provider's own name for it.
    provider_id: str | None = None


class TryLater(Struct, frozen=True):
    """It may work later."""

    #: A code, for operators: ``timeout``, ``http_503``, ``connection_refused``.
    reason: str
    #: When the provider says so.
    after_s: float | None = None
    #: The provider may have taken it all the same.
    unknown: bool = False
    #: It is about this message; the provider works.
    alone: bool = False


class Refused(Struct, frozen=True):
    """It will never work in this form."""

    reason: str


class Gone(Struct, frozen=True):
    """The address is no more."""

    reason: str


class Suppressed(Struct, frozen=True):
    """Nothing was sent: it is not wanted any more, or there is nowhere to send it."""

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
        """Messages that one call of ``send`` takes."""

    async def send(self, messages: Sequence[M_contra]) -> Sequence[Outcome]:
        """Send messages; answers one outcome for each, in order. Raises nothing that it foresees."""

    async def check(self) -> str:
        """Say how the provider is reached, having asked it. Raises: AdapterError."""

    async def close(self) -> None:
        """Let go of connections."""


async def send_each(send: Callable[[M], Awaitable[Outcome]], messages: Sequence[M]) -> Sequence[Outcome]:
    """Send messages at the same time; one that crashes takes none of the others' outcomes with it."""

    async def outcome(message: M) -> Outcome:
        try:
            return await send(message)
        except Exception as error:
            log.exception("adapter.crashed", action="try_later", delivery=str(message.id), error=type(error).__name__)
            return TryLater("internal", unknown=True)

    return await asyncio.gather(*map(outcome, messages))
