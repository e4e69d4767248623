"""Payments, as a part of the server. In development the gateway is the sandbox, reached by HTTP like any other."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path

from aiohttp import ClientSession

from actors.runtime.call import Caller, Published
from server.edge.handlers import PlainHandler
from server.edge.part import Context, Part
from server.edge.secret_file import load_secret
from server.payments.config import PaymentsConfig
from server.payments.refunds import Refunds
from server.payments.sandbox.gateway import Sandbox
from server.payments.sandbox.wire import WEBHOOK_PATH
from server.payments.sandbox_adapter import SandboxGateway
from server.payments.webhooks import PaymentWebhooks
from storage.database import Pool
from storage.queries.payment import find_payment, find_reference, keep_unmatched_event, load_refunding
from storage.supervision import Supervised

_SECRET_FILE = "sandbox-webhook.secret"


class SandboxPayments:
    """The sandbox gateway, the adapter to it, and the routes of both."""

    def __init__(
        self,
        http: ClientSession,
        pool: Pool,
        runtime: Caller,
        *,
        now: Callable[[], datetime],
        webhook_secrets: tuple[str, ...],
    ) -> None:
        self._http = http
        self._url = ""
        api_key = sha256(b"api key " + webhook_secrets[0].encode()).hexdigest()
        self.sandbox = Sandbox(
            http,
            lambda: self._url,
            partial(find_payment, pool),
            secret=webhook_secrets[0],
            api_key=api_key,
            now=now,
        )
        gateway = SandboxGateway(http, lambda: self._url, api_key=api_key, webhook_secrets=webhook_secrets)
        self._refunds = Refunds(gateway, partial(load_refunding, pool))
        self._webhooks = PaymentWebhooks(
            gateway, runtime, partial(find_reference, pool, gateway.name), partial(keep_unmatched_event, pool)
        )

    @property
    def routes(self) -> Mapping[tuple[str, str], PlainHandler]:
        """The pages of the gateway, and our webhook endpoint."""
        return {**self.sandbox.routes, ("POST", WEBHOOK_PATH): self._webhooks.handle}

    @property
    def tasks(self) -> list[Supervised]:
        """The loop that asks for refunds."""
        return [self._refunds.task]

    def on_event(self, published: Published) -> None:
        """Take a committed event."""
        self._refunds.on_event(published)

    def start(self, url: str) -> None:
        """Begin to work: the server listens at this address."""
        self._url = url
        self._refunds.start()

    async def stop(self) -> None:
        """Stop the refunds and the sandbox, and close their connections."""
        await self._refunds.stop()
        await self.sandbox.stop()
        await self._http.close()


def open_payments(context: Context, config: PaymentsConfig) -> Part:
    """Open the sandbox gateway in development; otherwise there is no gateway yet."""
    if not context.dev.enabled:
        return Part()
    node = context.node
    payments = open_sandbox(
        node.pool,
        node.runtime,
        now=node.clock.now,
        keys_dir=context.server.keys_dir,
        webhook_secrets=config.webhook_secrets,
    )
    return Part(
        routes=payments.routes,
        listeners=[payments.on_event],
        tasks=lambda: payments.tasks,
        listening=payments.start,
        stop=payments.stop,
    )


def open_sandbox(
    pool: Pool,
    runtime: Caller,
    *,
    now: Callable[[], datetime],
    keys_dir: Path,
    webhook_secrets: tuple[str, ...] = (),
) -> SandboxPayments:
    """Open the sandbox; ``start`` it once the server listens, and ``stop`` it.

    Args:
        now: the domain's clock.
        webhook_secrets: newest first; with none, one is made at the first start and kept in ``keys_dir``.
    """
    secrets = webhook_secrets or (load_secret(keys_dir / _SECRET_FILE, "whsec_"),)
    return SandboxPayments(ClientSession(), pool, runtime, now=now, webhook_secrets=secrets)
