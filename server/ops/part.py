"""Operations, as a part of the server: health, metrics, background jobs, and the pages of development mode."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web
from prometheus_client.registry import Collector

from actors.actor import ACTORS
from protocol.instants import ZONES_VERSION
from server.edge.handlers import PlainHandler
from server.edge.job import Every, Job
from server.edge.part import Context, Part, RouteKey
from server.ops.config import RetentionConfig
from server.ops.dev import MovableClock
from server.ops.development_mailbox import MailboxPages
from server.ops.health import Health
from server.ops.job_metrics import JobMetrics
from server.ops.jobs import Jobs
from server.ops.ledger_sealing import SEAL_EVERY_S, LedgerSealer
from server.ops.nightly_verify import VERIFY_MAX_S, NightlyAudit
from server.ops.retention import retention_jobs

PAGES = {
    "/ready": ("Health", "Whether the server can take requests"),
    "/metrics": ("Metrics", "For Prometheus"),
}
DEV_PAGES = {"/dev/mailbox": ("Mailbox", "What e-mail, push and SMS would have sent")}


@dataclass(frozen=True, kw_only=True)
class OpsPart(Part):
    """The part, with the runner of this node's jobs."""

    runner: Jobs


def open_ops(
    context: Context, retention: RetentionConfig, others: Sequence[Job], *, draining: Callable[[], bool]
) -> OpsPart:
    """Open operations. They are the last part, since they run the jobs of all others.

    Args:
        others: the jobs of the other parts.
        draining: whether the server is about to stop.
    """
    node = context.node
    sealer = LedgerSealer(node.pool, node.metrics)
    audit = NightlyAudit(node.pool, ACTORS)
    job_metrics = JobMetrics()
    jobs = [
        Job("ledger.seal", Every(SEAL_EVERY_S), sealer.run),
        Job("verify", context.nightly, audit.run, VERIFY_MAX_S, audit.report),
        *retention_jobs(node.pool, context.nightly, retention),
        *others,
    ]
    runner = Jobs(jobs, dsn=node.dsn, pool=node.pool, now=node.clock.now, metrics=job_metrics)
    text = "Requests, commands and queries refused by a rate limit, by the limit's name"
    node.metrics.total("rate_limited", text, lambda: context.limiters.refused_total, "limit")

    node.metrics.build_info(context.version)

    text = "The version of the time zone rules; always 1"
    node.metrics.count("tzdata", text, lambda: {ZONES_VERSION: 1}, "version")

    async def start() -> None:
        node.agenda.every("ledger metrics", SEAL_EVERY_S, sealer.refresh)
        await runner.start(node.agenda)

    metrics: list[Collector] = [audit, job_metrics]
    return OpsPart(
        runner=runner,
        routes={**_routes(context, draining), **(_dev_routes(context) if context.dev.enabled else {})},
        time_moved=[runner.check],
        metrics=metrics,
        pages=PAGES | (DEV_PAGES if context.dev.enabled else {}),
        start=start,
        stop=runner.stop,
    )


def _routes(context: Context, draining: Callable[[], bool]) -> Mapping[RouteKey, PlainHandler]:
    node = context.node
    health = Health(node.pool, context.version, draining, node.dead)

    async def metrics(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=node.metrics.render(), headers={"Content-Type": node.metrics.content_type})

    return {
        **{("GET", path): health.health for path in ("/health", "/healthz", "/livez")},
        **{("GET", path): health.ready for path in ("/ready", "/readyz")},
        ("GET", "/metrics"): metrics,
    }


def _dev_routes(context: Context) -> Mapping[RouteKey, PlainHandler]:
    clock = MovableClock(context.node)
    return {
        ("GET", "/dev/clock"): clock.show,
        ("POST", "/dev/clock"): clock.advance,
        **MailboxPages(context.node.pool).routes,
    }
