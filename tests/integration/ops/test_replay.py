"""``server replay``: an actor's events, its state at any time, and the comparison with the stored state."""

import asyncio
import sys
from contextlib import suppress
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from rich.console import Console

from protocol.booking.commands import CancelBooking, PayBooking
from protocol.ids import human_number
from server.client import Rest
from server.edge.config import ServerConfig
from server.ops import replay
from server.ops.config import DatabaseConfig
from server.ops.replay import DIFFERS, REFUSED, run_replay
from storage.retention import archive_journals
from tests.support.process import ServerProcess, readable_directory, server_process
from tests.support.server import PASSWORD, TIMEOUT_S, Person, Site

WIDE = 400


class Shell:
    """``server replay`` on the site's database."""

    def __init__(self, site: Site, folder: Path) -> None:
        self._server, self._database = ServerConfig(data_dir=str(folder)), DatabaseConfig(url=site.node.dsn)

    async def __call__(
        self, what: str, *, at: str = "", version: int | None = None, as_json: bool = False
    ) -> tuple[int, str]:
        output = StringIO()
        console = Console(file=output, width=WIDE)
        code = await run_replay(self._server, self._database, console, what, (at, version), as_json=as_json)
        return code, output.getvalue()

    async def json(self, what: str, **options: Any) -> Any:
        _, output = await self(what, as_json=True, **options)
        return msgspec.json.decode(output)


@pytest.fixture
def shell(server: Site, tmp_path: Path) -> Shell:
    return Shell(server, tmp_path / "no server here")


@pytest.fixture
async def booking(server: Site) -> tuple[Person, UUID]:
    """A customer, and their booking that was paid and cancelled."""
    market, customer = await server.market(), await server.person("Carla Customer")
    booking_id = await server.booked(market, customer)
    await server.captured(await customer.call(PayBooking(booking_id=booking_id)))
    await server.advance(timedelta(minutes=10))
    await customer.call(CancelBooking(booking_id=booking_id))
    await server.at_rest()
    return customer, booking_id


async def test_the_journal_is_a_table_of_events(shell: Shell, booking: tuple[Person, UUID]) -> None:
    code, output = await shell(f"booking/{booking[1]}")

    assert code == 0
    lines = [line.split() for line in output.splitlines()]
    shown = {line[3]: (line[0], line[4:6]) for line in lines if len(line) > 5 and line[0].isdigit()}
    assert shown["booking.created"] == ("1", ["Carla", "Customer"])
    assert shown["booking.paid"][1] == ["the", "server"]
    assert '"status": "CANCELLED"' in output
    assert "the replayed state matches the stored one" in output


async def test_a_booking_is_found_by_its_number(shell: Shell, booking: tuple[Person, UUID]) -> None:
    number = human_number(booking[1])

    code, output = await shell(f"booking/{number.lower().replace('-', ' ')}")

    assert code == 0
    assert str(booking[1]) in output


async def test_json_has_every_event_and_the_state(server: Site, shell: Shell, booking: tuple[Person, UUID]) -> None:
    shown = await shell.json(f"booking/{booking[1]}")

    rows = await server.node.pool.fetch("SELECT version, type, cause FROM journal WHERE id = $1 ORDER BY 1", booking[1])
    assert [(event["version"], event["type"], event["cause"]) for event in shown["events"]] == [tuple(r) for r in rows]
    assert (shown["same"], shown["error"], shown["left_out"]) == (True, None, 0)
    kept = await server.node.pool.fetchval("SELECT state::text FROM actors WHERE id = $1", booking[1])
    assert shown["kept"] == {"version": len(rows), "state": msgspec.json.decode(kept)}
    assert shown["state"]["status"] == "CANCELLED"


async def test_the_state_at_a_version(shell: Shell, booking: tuple[Person, UUID]) -> None:
    shown = await shell.json(f"booking/{booking[1]}", version=1)

    assert [event["type"] for event in shown["events"]] == ["booking.created"]
    assert (shown["state"]["status"], shown["state"]["payment_id"]) == ("PENDING", None)
    assert shown["same"], "the rest is replayed all the same"


async def test_the_state_at_an_instant(shell: Shell, booking: tuple[Person, UUID]) -> None:
    whole = await shell.json(f"booking/{booking[1]}")
    cancelled_at = next(event["at"] for event in whole["events"] if event["type"] == "booking.cancelled")
    at = msgspec.json.decode(f'"{cancelled_at}"', type=datetime)

    before = await shell.json(f"booking/{booking[1]}", at=(at - timedelta(microseconds=1)).isoformat())
    then = await shell.json(f"booking/{booking[1]}", at=at.isoformat())

    assert before["state"]["status"] != "CANCELLED"
    assert then["state"]["status"] == "CANCELLED"
    assert len(before["events"]) < len(then["events"])


async def test_an_archived_journal_is_replayed_too(server: Site, shell: Shell, booking: tuple[Person, UUID]) -> None:
    before = await shell(f"booking/{booking[1]}")

    await archive_journals(server.node.pool, server.node.clock.now() + timedelta(days=1))

    assert await server.node.pool.fetchval("SELECT count(*) FROM journal WHERE id = $1", booking[1]) == 0
    assert await shell(f"booking/{booking[1]}") == before


async def test_of_a_long_journal_the_latest_events_are_shown_and_all_are_replayed(
    shell: Shell, booking: tuple[Person, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await shell.json(f"booking/{booking[1]}")
    monkeypatch.setattr(replay, "SHOWN_MAX", 2)

    shown = await shell.json(f"booking/{booking[1]}")
    _, output = await shell(f"booking/{booking[1]}")

    assert shown["events"] == whole["events"][-2:]
    assert (shown["left_out"], shown["state"]) == (len(whole["events"]) - 2, whole["state"])
    assert f"{shown['left_out']} earlier events are not shown" in output


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("UPDATE actors SET state = jsonb_set(state, '{approved}', 'true') WHERE id = $1", '"approved": true'),
        ("UPDATE actors SET state = '{}' WHERE id = $1", "the stored state cannot be decoded"),
        ("UPDATE journal SET type = 'booking.teleported' WHERE id = $1 AND version = 2", "version 2, booking.telep"),
        (
            "DELETE FROM journal WHERE id = $1 AND version = (SELECT max(version) FROM journal WHERE id = $1)",
            "differs from",
        ),
        ("DELETE FROM actors WHERE id = $1", "version 0 null"),
        ("DELETE FROM journal WHERE id = $1", "the replayed state differs from the stored one"),
    ],
)
async def test_a_state_that_differs_from_the_journal_is_reported_with_exit_code_1(
    server: Site, shell: Shell, booking: tuple[Person, UUID], damage: str, says: str
) -> None:
    await server.node.pool.execute(damage, booking[1])

    code, output = await shell(f"booking/{booking[1]}")

    assert code == DIFFERS
    assert says in output
    assert "the replayed state differs from the stored one" in output


@pytest.mark.parametrize(
    ("what", "options", "says"),
    [
        ("booking", {}, "an actor is named by kind/id; kinds are user, business, booking, conversation"),
        ("cat/{id}", {}, "cat: not a kind of actor; kinds are user,"),
        ("booking/7C0W-0Y7E", {}, "7C0W-0Y7E: no such booking"),
        ("booking/7C0W", {}, "7C0W: not an id; an id is a UUID, or a booking's number"),
        ("booking/{other}", {}, "booking/{other}: no such actor"),
        ("user/{id}", {}, "user/{id}: no such actor"),
        ("booking/{id}", {"at": "yesterday"}, "yesterday: not an instant"),
        ("booking/{id}", {"at": "2026-03-29T14:00:00"}, "2026-03-29T14:00:00: not an instant"),
        ("booking/{id}", {"at": "2001-01-01T00:00:00Z"}, "booking/{id}: its first event was at 20"),
        ("booking/{id}", {"version": 0}, "version 0: the first event is version 1"),
        ("booking/{id}", {"version": 99}, "booking/{id}: its last version is "),
        ("booking/{id}", {"version": 1, "at": "2026-03-29T14:00:00Z"}, "give only one of them"),
    ],
)
async def test_invalid_arguments_are_reported_in_a_line_with_exit_code_2(
    shell: Shell, booking: tuple[Person, UUID], what: str, options: dict[str, Any], says: str
) -> None:
    ids = {"id": str(booking[1]), "other": str(uuid4())}

    code, output = await shell(what.format(**ids), **options)

    assert code == REFUSED
    assert says.format(**ids) in output
    assert len(output.splitlines()) == 1


async def test_the_command_reads_the_database_of_a_stopped_server() -> None:
    with readable_directory() as folder:
        async with server_process(folder) as process:
            running = await process.start()
            async with Rest(running.url) as rest:
                ada = (await rest.sign_up("ada@people.test", PASSWORD, "Ada")).user
            assert (await command(process, f"user/{ada.id}"))["same"], "beside the running server"
            await process.stop()

            shown = await command(process, f"user/{ada.id}", "--version", "1")

    assert [event["type"] for event in shown["events"]] == ["user.signed_up"]
    assert shown["same"]


async def command(process: ServerProcess, *arguments: str) -> Any:
    """``python -m server replay --json`` beside a server process; returns its output."""
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server", "replay", "--json", *arguments),
        cwd=process.data_dir,
        env=process._environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            output, errors = await running.communicate()
    finally:
        with suppress(ProcessLookupError):
            running.kill()
    assert running.returncode == 0, output + errors
    return msgspec.json.decode(output)
