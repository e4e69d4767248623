"""The composition root: puts the transports around a node, runs it, and lets it end in good order."""

import asyncio
import gc
import os
import resource
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog
from aiohttp import web
from rich.console import Console

from protocol.instants import zone_names
from server.accounts.attempts import Attempts
from server.accounts.codes import CodeKey, CodeProcedures
from server.accounts.contact import is_in
from server.accounts.keys import SETTLE_S, load_keys
from server.accounts.passwords import Passwords
from server.accounts.procedures import Accounts
from server.accounts.tokens import TokenService
from server.accounts.watch import Watch
from server.app.config import Config
from server.app.node import Database, Node, open_database, open_node
from server.app.query_handlers import query_handlers
from server.app.startup_banner import greet, make_demo_data
from server.delivery.channels.push.vapid import load_vapid
from server.delivery.channels.sms.webhooks import TwilioWebhooks
from server.delivery.dead_letters import DeadLetters
from server.delivery.pipeline import DeliveryPipeline, open_delivery
from server.edge.cors import Cors
from server.edge.handlers import PlainHandler
from server.edge.rates import Limiters, Rate, RateLimits
from server.edge.secret_file import load_secret
from server.links.routes import LinkPages
from server.links.tokens import Links, link_key
from server.live.connection.events_endpoint import PATH as EVENTS_PATH
from server.live.connection.events_endpoint import EventsEndpoint
from server.live.connection.handshake import WebSocketEndpoint
from server.live.hub.hub import Hub
from server.live.limits import Limits
from server.llm.service import open_language_model
from server.ops.dev import MovableClock
from server.ops.development_mailbox import MailboxPages
from server.ops.health import Health
from server.ops.job_metrics import JobMetrics
from server.ops.jobs import Jobs
from server.ops.live_metrics import watch_live
from server.ops.nightly import jobs_of
from server.ops.pid_file import Running, remove_pid_file, write_pid_file
from server.payments.part import SandboxPayments, open_sandbox_payments
from server.rest.app import HttpApp
from server.rest.events_path import events_path
from server.words.completeness import assert_complete
from storage.database import OUTAGES

log = structlog.get_logger()

#: Requests and sockets that are still open when this has passed at a stop are cut.
SHUTDOWN_MARGIN_S = 5.0
#: How many seconds' worth of a rate may come at once.
BURST_S = 4.0
#: Connections that wait to be accepted: all clients come back at once after a restart. The kernel may allow fewer.
CONNECTING_MAX = 4_096
#: Files and sockets open at once, if the system lets us have so many.
FILES_MAX = 65_536
#: Allocations between two looks of the garbage collector.
GC_ALLOCATIONS = 50_000
VERSION = "0.1.0"
#: Shown on the entrance page beside the documentation.
LINKS = {
    "/ready": ("Health", "Whether the server can do its work"),
    "/metrics": ("Metrics", "Figures for Prometheus"),
}
#: The same, in development.
DEV_LINKS = {"/dev/mailbox": ("Mailbox", "What e-mail, push and SMS would have sent")}


@dataclass(frozen=True, slots=True)
class Server:
    """A server that listens."""

    node: Node
    hub: Hub
    jobs: Jobs
    delivery: DeliveryPipeline
    url: str


async def serve(config: Config, console: Console) -> int:
    """Run the server until SIGINT or SIGTERM, then let it end in good order; answers the exit code."""
    data_dir = Path(config.server.data_dir)
    stop = asyncio.Event()
    _allow_files()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with open_database(config) as database, open_server(config, database.dsn) as server:
        if config.dev.enabled and config.dev.demo_data:
            await make_demo_data(server.node, console)
        _spare_the_collector()
        write_pid_file(data_dir, Running(url=server.url, dsn=database.dsn, pid=os.getpid()))
        greet(server.url, config, console)
        lost = await _until(stop, database)
        remove_pid_file(data_dir)
        console.print("stopping: what is under way is finished first")
    console.print("stopped")
    return 1 if lost else 0


def _allow_files() -> None:
    """Have as many sockets open as the system lets us, and not only the few that a shell starts with."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MAX if most == resource.RLIM_INFINITY else min(FILES_MAX, most)
    if now != resource.RLIM_INFINITY and now < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _spare_the_collector() -> None:
    """What is here now stays: let the garbage collector look only at what comes, and less often.

    Messages and their decisions die young and without cycles; looking for some took a third of a message's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, 20, 50)


async def _until(stop: asyncio.Event, database: Database) -> bool:
    """Wait for the signal to stop; answers whether the database was lost instead."""
    stopping, losing = asyncio.ensure_future(stop.wait()), asyncio.ensure_future(database.lost())
    await asyncio.wait([stopping, losing], return_when=asyncio.FIRST_COMPLETED)
    lost = losing.done() and not stopping.done()
    for task in (stopping, losing):
        task.cancel()
    await asyncio.gather(stopping, losing, return_exceptions=True)
    if lost:
        log.critical("server.database_lost", action="stop")
    return lost


@asynccontextmanager
async def open_server(config: Config, dsn: str) -> AsyncIterator[Server]:
    """Serve a migrated database on the configured address; at the end every client is told, every command finished."""
    zone_names()  # read once, not in the first booking
    assert_complete()
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(open_node(dsn, config))
        limiters = Limiters(_rates(config), by_command=config.limits.command_rates)
        keys = partial(load_keys, Path(config.server.data_dir) / "keys", settle_s=SETTLE_S)
        tokens = TokenService(keys(), lifetime_s=config.auth.access_token_s)
        node.listeners.append(tokens.on_event)
        passwords = Passwords()
        stack.callback(passwords.close)
        attempts = Attempts()
        accounts = Accounts(
            node.runtime, node.pool, tokens, passwords, session_s=config.auth.refresh_token_s, attempts=attempts
        )
        await accounts.start()
        model = await stack.enter_async_context(open_language_model(config.llm, node.pool, node.clock.now))
        node.metrics.registry.register(model.figures)
        queries = query_handlers(node, load_vapid(config), model)
        links = Links(link_key(Path(config.server.data_dir) / "keys"), config.public_url)
        delivery = await stack.enter_async_context(open_delivery(config, node, links))
        dead_letters = DeadLetters(node.pool, node.clock.now, delivery.wake)
        codes = CodeProcedures(
            node.runtime,
            node.pool,
            passwords,
            CodeKey(load_secret(Path(config.server.data_dir) / "keys" / "codes.secret")),
            available=delivery.workers.keys(),
            put=delivery.wake,
            may_text=partial(is_in, countries=config.sms.countries),
            attempts=attempts,
        )
        hub = Hub(
            pool=node.pool,
            verify=tokens.read,
            submit=node.runtime.submit,
            new_id=node.runtime.new_id,
            queries=queries,
            limiters=limiters,
            limits=_limits(config),
        )
        node.listeners.append(hub.publish)
        tokens.on_revoked, tokens.on_outdated, tokens.on_retired = hub.revoke, hub.outdate, hub.outdate_all
        await hub.start()
        stack.push_async_callback(hub.stop)
        watch = Watch(node.pool, tokens, node.clock, keys)
        watch.start()
        node.tasks += [hub.housekeeping, watch.task]
        stack.push_async_callback(watch.stop)
        watch_live(node.metrics, hub, limiters)
        payments = await _open_payments(stack, config, node)
        app = HttpApp(
            runtime=node.runtime,
            queries=queries,
            procedures={**accounts.procedures, **dead_letters.procedures, **codes.procedures},
            authenticate=tokens.verify,
            pool=node.pool,
            extra={
                **_plain_routes(config, node, hub),
                ("GET", EVENTS_PATH): EventsEndpoint(hub, tokens.verify, limiters).handle,
                **(payments.routes if payments else {}),
                **_link_pages(config, node, links, limiters).routes,
                **_twilio_routes(config, node),
            },
            limiters=limiters,
            allowed_origins=config.server.allowed_origins,
            trusted_proxies=config.server.trusted_proxies,
            https=config.public_url.startswith("https"),
            version=VERSION,
            links=LINKS | (DEV_LINKS if config.dev.enabled else {}),
            paths=events_path(),
            outages=OUTAGES,
        )
        runner = app.runner(shutdown_timeout_s=config.server.drain_s + SHUTDOWN_MARGIN_S)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, config.server.host, config.server.port, backlog=CONNECTING_MAX).start()
        stack.push_async_callback(hub.drain)
        url = links.url = _url(config, runner)
        if payments is not None:
            payments.start(url)
        jobs = await _start_jobs(stack, config, node)
        yield Server(node, hub, jobs, delivery, url)


async def _start_jobs(stack: AsyncExitStack, config: Config, node: Node) -> Jobs:
    """Let work in the background begin; at a stop it is cut first."""
    metrics = JobMetrics()
    node.metrics.registry.register(metrics)
    jobs = Jobs(jobs_of(node, config), dsn=node.dsn, pool=node.pool, now=node.clock.now, metrics=metrics)
    node.time_moved.append(jobs.check)
    stack.push_async_callback(jobs.stop)
    await jobs.start(node.agenda)
    return jobs


async def _open_payments(stack: AsyncExitStack, config: Config, node: Node) -> SandboxPayments | None:
    """The payment gateway: the sandbox in development, none yet otherwise."""
    if not config.dev.enabled:
        return None
    payments = await stack.enter_async_context(
        open_sandbox_payments(
            node.pool,
            node.runtime,
            now=node.clock.now,
            keys_dir=Path(config.server.data_dir) / "keys",
            webhook_secrets=config.payments.webhook_secrets,
        )
    )
    node.listeners.append(payments.on_event)
    node.tasks += payments.tasks
    return payments


def _link_pages(config: Config, node: Node, links: Links, limiters: Limiters) -> LinkPages:
    """What the links in letters lead to."""
    return LinkPages(links, node.runtime, node.pool, limiters, now=node.clock.now, brand=config.email.from_name)


def _plain_routes(config: Config, node: Node, hub: Hub) -> dict[tuple[str, str], PlainHandler]:
    """What is served beside the catalogue."""
    health = Health(node.pool, VERSION, lambda: hub.draining, node.dead)

    async def metrics(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=node.metrics.render(), headers={"Content-Type": node.metrics.content_type})

    routes: dict[tuple[str, str], PlainHandler] = {
        ("GET", "/health"): health.health,
        ("GET", "/ready"): health.ready,
        ("GET", "/metrics"): metrics,
        ("GET", "/v1/socket"): WebSocketEndpoint(hub, _origin_check(config)).handle,
    }
    if config.dev.enabled:
        clock = MovableClock(node)
        routes |= {("GET", "/dev/clock"): clock.show, ("POST", "/dev/clock"): clock.advance}
        routes |= MailboxPages(node.pool).routes
    return routes


def _twilio_routes(config: Config, node: Node) -> Mapping[tuple[str, str], PlainHandler]:
    """Where Twilio tells us things, if we have an account there."""
    if not config.sms.account_sid:
        return {}
    return TwilioWebhooks(node.pool, config.sms.auth_token, config.public_url, node.clock.now).routes


def _rates(config: Config) -> RateLimits:
    """The configured rates, with bursts of four seconds' worth."""

    def rate(per_s: float) -> Rate:
        return Rate(per_s, max(1, round(per_s * BURST_S)))

    limits = config.limits
    return RateLimits(
        requests_per_address=rate(limits.requests_per_address_per_s),
        commands_per_user=rate(limits.commands_per_s),
        queries_per_user=rate(limits.queries_per_s),
    )


def _limits(config: Config) -> Limits:
    """The limits of live connections, as far as they are configured."""
    return Limits(
        connections_per_user_max=config.limits.connections_per_user,
        connections_per_address_max=config.limits.connections_per_address,
        connections_max=config.limits.connections,
        drain_s=config.server.drain_s,
    )


def _origin_check(config: Config) -> Callable[[str], bool]:
    cors = Cors(config.server.allowed_origins)
    return cors.allows


def _url(config: Config, runner: web.ServerRunner) -> str:
    """How the outside reaches the server, with the port that it really got."""
    if config.server.public_url:
        return config.server.public_url.rstrip("/")
    host, port = runner.addresses[0][:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
