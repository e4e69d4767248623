"""The composition root: opens a node and its parts, runs them, and stops them in order."""

import asyncio
import gc
import os
import resource
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import time
from pathlib import Path

import structlog
from rich.console import Console

from protocol.instants import zone_names
from server.accounts.part import open_accounts
from server.app.config import Config
from server.app.node import open_node
from server.app.nouns import check_answers
from server.app.startup_banner import Screen, make_demo_data
from server.delivery.part import open_delivery
from server.delivery.pipeline import DeliveryPipeline
from server.edge.job import Daily
from server.edge.node import Node
from server.edge.part import Context, P, Parts
from server.edge.rates import Limiters, configured_rates
from server.links.part import open_links
from server.live.hub.hub import Hub
from server.live.part import open_live
from server.llm.part import open_llm
from server.ops.database import Database, open_database
from server.ops.demo_accounts import refuse_demo_accounts
from server.ops.jobs import Jobs
from server.ops.part import open_ops
from server.ops.pid_file import Running, remove_pid_file, write_pid_file
from server.ops.port import check_port
from server.ops.systemd import READY, STOPPING, Systemd
from server.payments.part import open_payments
from server.queries.part import open_queries
from server.rest.part import open_rest
from server.words.completeness import assert_complete
from storage.registry import ANSWERS

log = structlog.get_logger()

#: Limit of open files and sockets that the server asks the system for.
FILES_MAX = 65_536
#: Allocations between two runs of the garbage collector.
GC_ALLOCATIONS = 50_000
VERSION = "0.1.0"


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    node: Node
    hub: Hub
    jobs: Jobs
    delivery: DeliveryPipeline
    url: str
    #: Host and port on which it listens.
    listens_at: tuple[str, int]


async def serve(config: Config, console: Console) -> int:
    """Run the server until SIGINT or SIGTERM, then stop it in order; returns the exit code."""
    data_dir = Path(config.server.data_dir)
    stop = asyncio.Event()
    screen, systemd = Screen(console, json=config.log.format == "json"), Systemd(os.environ)
    check_port(config.server)
    _raise_file_limit()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with open_database(config.server, config.database) as database, open_server(config, database.dsn) as server:
        if config.dev.enabled and config.dev.demo_data:
            await make_demo_data(server.node, screen)
        _tune_garbage_collection()
        write_pid_file(data_dir, _running(server, database))
        screen.ready(server.url, config)
        systemd.notify(READY)
        watchdog = asyncio.create_task(systemd.watch(), name="systemd watchdog")
        lost = await _wait_for_stop(stop, database)
        systemd.notify(STOPPING)
        remove_pid_file(data_dir)
        screen.stopping()
    watchdog.cancel()
    screen.stopped()
    return 1 if lost else 0


def _running(server: Server, database: Database) -> Running:
    host, port = server.listens_at
    return Running(url=server.url, listens_at=f"{host}:{port}", dsn=database.dsn, pid=os.getpid())


def _raise_file_limit() -> None:
    """Raise the soft limit of open files, which is low in most shells."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MAX if most == resource.RLIM_INFINITY else min(FILES_MAX, most)
    if now != resource.RLIM_INFINITY and now < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _tune_garbage_collection() -> None:
    """Exclude the present objects from garbage collection, and run it less often.

    Messages and decisions are short-lived and without cycles; collecting took a third of a message's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, 20, 50)


async def _wait_for_stop(stop: asyncio.Event, database: Database) -> bool:
    """Wait for the signal to stop; returns whether the database was lost instead."""
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
    """Serve a migrated database on the configured address; at the end connections are closed and commands finished.

    The parts are started in the order in which they are opened and stopped in the reverse one: first the jobs, then
    the listener, which drains the connections, and last delivery, which sends what was decided until then.
    """
    zone_names()  # loaded here rather than in the first booking
    assert_complete()
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(open_node(dsn, config))
        if not config.dev.enabled:
            await refuse_demo_accounts(node.pool)
        context = _context(config, node)
        parts = Parts(node, dict(ANSWERS))

        def add(part: P) -> P:
            stack.push_async_callback(part.stop)
            return parts.add(part)

        llm = add(open_llm(context, config.llm))
        links = add(open_links(context, brand=config.email.from_name))
        delivery = add(open_delivery(context, config, links.links))
        pipeline = delivery.pipeline
        accounts = add(
            open_accounts(
                context,
                config.auth,
                channels=pipeline.workers.keys(),
                wake=pipeline.wake,
                countries=config.sms.countries,
            )
        )
        live = add(open_live(context, config.limits, accounts.tokens, parts.queries))
        add(open_queries(context, llm.model))
        add(open_payments(context, config.payments))
        rest = add(open_rest(context, accounts.tokens.verify, parts, config.limits.connections_per_address))
        ops = add(open_ops(context, config.retention, parts.jobs, draining=lambda: live.hub.draining))
        check_answers(parts.queries)
        _measure_queries(parts)
        for part in parts.opened:
            await part.start()
            node.tasks += part.tasks()
        yield Server(node, live.hub, ops.runner, pipeline, rest.listener.url, rest.listener.address)


def _measure_queries(parts: Parts) -> None:
    for query, handler in parts.queries.items():
        parts.queries[query] = parts.node.metrics.measured(query, handler)


def _context(config: Config, node: Node) -> Context:
    limits = config.limits
    return Context(
        node=node,
        server=config.server,
        dev=config.dev,
        limiters=Limiters(configured_rates(limits), by_command=limits.command_rates),
        nightly=Daily(time.fromisoformat(config.jobs.nightly_at)),
        version=VERSION,
    )
