"""What the server needs of a payment gateway; each adapter offers it."""

from collections.abc import Mapping
from typing import Protocol

from protocol.payment.terms import GatewayEvent
from storage.queries.payment import Payment


class GatewayDown(Exception):
    """The gateway does not answer, or cannot act now: ask again later."""


class GatewayRefused(Exception):
    """The gateway says no; asking again the same way will not help."""


class PaymentGateway(Protocol):
    """What we need of a payment gateway."""

    @property
    def name(self) -> str:
        """Part of its webhook's address, and of the command ids that its events get."""

    def read(self, headers: Mapping[str, str], body: bytes) -> GatewayEvent:
        """Verify a webhook and put it into our words. Raises: SignatureInvalid, Malformed."""

    async def refund(self, payment: Payment) -> None:
        """Ask for the money to go back to its source; once, however often this is called.

        That it is done comes as a webhook. Raises: GatewayDown, GatewayRefused.
        """
