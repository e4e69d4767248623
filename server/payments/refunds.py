"""The worker that asks the gateway for refunds."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

import structlog

from actors.runtime.call import Published
from protocol.ids import PaymentId
from protocol.payment.events import PaymentSentBack
from server.payments.gateway import GatewayDown, GatewayRefused, PaymentGateway
from storage.queries.payment import PAGE, Payment
from storage.supervision import Supervised

#: How often a round asks for one refund, and how long it waits in between, doubled each time.
ASKS_MAX = 4


ASK_AGAIN_FIRST_S = 0.5


#: A round comes this often even if nothing calls for it.
ROUND_EVERY_S = 60.0


#: Of a refund that was asked for nothing was heard: it is asked for again after this. The gateway knows it by its key.
HEARD_NOTHING_S = 600.0


log = structlog.get_logger(__name__)


class Refunds:
    """Asks the gateway for each payment that must go back to its source, until it is back.

    The database is the queue: a payment stays REFUNDING until the gateway has said that it is done. So nothing is lost
    by a restart, and two nodes that ask for the same one ask with the same key.

    Args:
        load_page: a page of those payments behind the given one, the oldest first.
    """

    def __init__(
        self,
        gateway: PaymentGateway,
        load_page: Callable[[Payment | None], Awaitable[list[Payment]]],
        *,
        ask_again_first_s: float = ASK_AGAIN_FIRST_S,
        round_every_s: float = ROUND_EVERY_S,
    ) -> None:
        self._gateway = gateway
        self._load_page = load_page
        self._ask_again_first_s = ask_again_first_s
        self._round_every_s = round_every_s
        self._wake = asyncio.Event()
        #: When each was asked for; only those that are not back yet.
        self._asked_at_s: dict[PaymentId, float] = {}
        self.task = Supervised("refunds", self._run)

    def on_event(self, published: Published) -> None:
        """Look at once when a payment is to be sent back."""
        if isinstance(published.emitted.event, PaymentSentBack):
            self._wake.set()

    def start(self) -> None:
        """Begin with what was left undone before."""
        self.task.start()

    async def stop(self) -> None:
        """Ask for nothing any more; what is undone stays in the database."""
        await self.task.stop()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._round()
            except GatewayDown as error:
                log.warning("refunds.gateway_down", action="next_round", gateway=self._gateway.name, error=str(error))
            except Exception:
                log.exception("refunds.round_failed", action="next_round")
            try:
                async with asyncio.timeout(self._round_every_s):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _round(self) -> None:
        """Ask for all that must go back and were not asked for lately. Raises: GatewayDown."""
        asked_at_s: dict[PaymentId, float] = {}
        page = await self._load_page(None)
        while page:
            for payment in page:
                before_s = self._asked_at_s.get(payment.payment_id)
                if before_s is None or before_s + HEARD_NOTHING_S < monotonic():
                    await self._ask(payment)
                    before_s = self._asked_at_s[payment.payment_id] = monotonic()
                asked_at_s[payment.payment_id] = before_s
            page = await self._load_page(page[-1]) if len(page) == PAGE else []
        self._asked_at_s = asked_at_s

    async def _ask(self, payment: Payment) -> None:
        """Ask for one, a few times if need be. Raises: GatewayDown."""
        for attempt in range(1, ASKS_MAX + 1):
            try:
                await self._gateway.refund(payment)
                log.info("refunds.asked", payment=str(payment.payment_id), amount_minor=payment.amount_minor)
                return
            except GatewayRefused as error:
                log.error("refunds.refused", action="look_into", payment=str(payment.payment_id), error=str(error))
                return
            except GatewayDown:
                if attempt == ASKS_MAX:
                    raise
            await asyncio.sleep(self._ask_again_first_s * 2 ** (attempt - 1))
