"""The nightly audit: violations are shown by a metric, on every node and after a restart, and are logged."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from actors.actor import ACTORS
from protocol.booking.commands import CompleteBooking, StartBooking
from server.ops.verify import INVARIANTS, REPLAY, verify
from storage import verify as checks
from storage.database import Pool
from storage.verify import SAMPLES_MAX, Life, lives
from tests.support.server import Site, make_config, open_site

DAY = timedelta(days=1)
WALLETS = "every wallet's balance is the sum of its transfers"


def violations(site: Site) -> dict[str, float]:
    """The violations by invariant, from /metrics."""
    page = site.node.metrics.render().decode()
    found = re.findall(r'^guildwire_verify_violations\{invariant="(.*)"\} (.*)$', page, re.MULTILINE)
    return {invariant: float(value) for invariant, value in found}


def last_run(site: Site) -> list[str]:
    return re.findall(
        r"^guildwire_verify_last_run_timestamp_seconds (.*)$", site.node.metrics.render().decode(), re.MULTILINE
    )


async def night(site: Site) -> list[Any]:
    """Let a night pass; returns the logged violations."""
    with capture_logs() as logs:
        await site.advance(DAY)
        await site.server.jobs.settle()
    return [line for line in logs if line["event"] == "verify.violation"]


async def break_a_balance(pool: Pool) -> None:
    """Change a row past the triggers, as only a database superuser can."""
    await pool.execute("INSERT INTO balances VALUES ('user/' || $1 || '/EUR', 4711)", str(uuid4()))


async def test_an_intact_database_shows_zero_for_every_invariant(server: Site) -> None:
    assert (violations(server), last_run(server)) == ({}, ["0.0"]), "no audit ran yet"
    market, customer = await server.market(), await server.person("Carla")
    await server.completed(market, customer)

    assert await night(server) == []

    assert violations(server) == dict.fromkeys(INVARIANTS, 0.0)
    assert len(last_run(server)) == 1


async def test_a_changed_balance_raises_the_metric_and_is_logged_until_it_is_repaired(server: Site) -> None:
    await break_a_balance(server.node.pool)

    (line,) = await night(server)

    assert (line["log_level"], line["invariant"]) == ("error", WALLETS)
    assert "balance 4711, transfers 0" in line["sample"]
    assert violations(server) == {**dict.fromkeys(INVARIANTS, 0.0), WALLETS: 1.0}

    await server.node.pool.execute("DELETE FROM balances WHERE balance_minor = 4711")
    assert await night(server) == []
    assert violations(server) == dict.fromkeys(INVARIANTS, 0.0)


async def test_an_operator_can_have_it_run_again(server: Site) -> None:
    await night(server)
    await break_a_balance(server.node.pool)
    await server.node.pool.execute("UPDATE jobs SET done_for = done_for - interval '1 day' WHERE name = 'verify'")

    await server.server.jobs.check()
    await server.server.jobs.settle()

    assert violations(server)[WALLETS] == 1


async def test_violations_are_shown_by_other_nodes_and_after_a_restart(
    server: Site, database_dsn: str, tmp_path: Any
) -> None:
    await break_a_balance(server.node.pool)
    await server.node.pool.execute("UPDATE jobs SET done_for = done_for - interval '1 day'")
    async with open_site(database_dsn, make_config(tmp_path / "one")) as one:
        await one.server.jobs.settle()  # the missed audit is made up

        async with open_site(database_dsn, make_config(tmp_path / "other")) as other:
            await other.server.jobs.settle()

            assert violations(other) == violations(one)
            assert violations(other)[WALLETS] == 1
            assert last_run(other) == last_run(one)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (
            "UPDATE actors SET state = jsonb_set(state, '{services,made}', '99') WHERE kind = 'business'",
            "another state",
        ),
        ("UPDATE journal SET type = 'business.teleported' WHERE kind = 'business' AND version = 2", "KeyError"),
        ("UPDATE actors SET state = '{}' WHERE kind = 'business'", "ValidationError"),
    ],
)
async def test_a_state_that_differs_from_its_journal_is_found(server: Site, damage: str, says: str) -> None:
    await server.market()
    await server.node.pool.execute(damage)

    (line,) = [line for line in await night(server) if line["invariant"] == REPLAY]

    assert line["sample"].startswith("business/")
    assert says in line["sample"]


@pytest.mark.parametrize("status", ["CONFIRMED", "IN_PROGRESS", "COMPLETED"])
async def test_money_that_waits_without_a_timer_is_found(server: Site, status: str) -> None:
    market, customer = await server.market(), await server.person("Carla")
    booking_id = await server.confirmed(market, customer)
    await server.until(market.soon)
    for reached, step in (("IN_PROGRESS", StartBooking), ("COMPLETED", CompleteBooking)):
        if status in (reached, "COMPLETED"):
            await market.owner.call(step(booking_id=booking_id))
    await server.node.pool.execute("DELETE FROM agenda WHERE actor_id = $1 AND name <> 'remind'", booking_id)

    found = {line["invariant"]: line["sample"] for line in await night(server)}

    assert found["no money waits without a bound"].startswith(f"booking/{booking_id}: ")
    assert "what must happen later is in the agenda" in found


async def test_a_former_member_who_is_still_in_a_conversation_is_found(server: Site) -> None:
    market, customer = await server.market(), await server.person("Carla")
    booking_id = await server.confirmed(market, customer)
    await server.node.pool.execute("UPDATE members SET active = false WHERE user_id = $1", market.staff[0].id)

    found = {line["invariant"]: line["sample"] for line in await night(server)}

    sample = found["a member of a business's conversation works there"]
    assert sample == f"conversation/{booking_id}: user/{market.staff[0].id} as staff"


async def test_many_violations_are_counted_and_some_are_shown(pool: Pool) -> None:
    for _ in range(SAMPLES_MAX + 3):
        await break_a_balance(pool)

    (finding,) = [finding async for finding in verify(pool, ACTORS) if finding.broken]

    assert (finding.broken, len(finding.samples)) == (SAMPLES_MAX + 3, SAMPLES_MAX)


async def test_journals_are_read_in_pages_and_each_actor_is_followed_by_its_events(
    server: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    market, customer = await server.market(), await server.person("Carla")
    await server.completed(market, customer)
    monkeypatch.setattr(checks, "REPLAY_PAGE", 2)
    monkeypatch.setattr(checks, "ROWS_AT_ONCE", 1)

    seen: dict[str, list[int]] = {}
    versions: list[int] = []
    async for item in lives(server.node.pool):
        if isinstance(item, Life):
            assert str(item.to) not in seen
            versions = seen[str(item.to)] = []
        else:
            versions.append(item.version)

    rows = await server.node.pool.fetch("SELECT kind || '/' || id AS ref, version FROM actors")
    assert seen == {row["ref"]: list(range(1, row["version"] + 1)) for row in rows}
    assert len(rows) > 4
