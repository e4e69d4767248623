"""The postmaster process: starting, watching and stopping it, and removing leftovers of an earlier one."""

import asyncio
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

import psutil
import structlog

from storage.postgres_installation import Installation

log = structlog.get_logger(__name__)

#: The superuser of the embedded cluster; only the private socket leads to it.
SUPERUSER = "guildwire"
INITDB_TIMEOUT_S = 120.0
#: A fast shutdown writes a checkpoint first; then comes an immediate one, then SIGKILL.
FAST_STOP_TIMEOUT_S = 30.0
IMMEDIATE_STOP_TIMEOUT_S = 5.0
#: How long backends get to exit by themselves after their postmaster died.
ORPHAN_GRACE_S = 1.0
LOG_BYTES_MAX = 10 * 1024 * 1024
LOG_TAIL_BYTES = 1024

#: Access is limited by the socket's directory, which is private to one system user; there is no TCP.
PG_HBA = "local all all trust\n"


class ClusterError(Exception):
    """Making the cluster or starting its postmaster failed."""


class Postmaster:
    """A running child process, whose end resolves `exited` with its return code."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.pid = process.pid
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._process = process
        threading.Thread(target=self._reap, args=(self.exited.get_loop(),), name="postmaster-wait", daemon=True).start()

    async def stop(self, *, immediate: bool = False) -> None:
        """Shut down, within bounds: fast (sessions are cut, a checkpoint is written), immediate, then SIGKILL."""
        stages = [(signal.SIGQUIT, IMMEDIATE_STOP_TIMEOUT_S), (signal.SIGKILL, IMMEDIATE_STOP_TIMEOUT_S)]
        if not immediate:
            stages.insert(0, (signal.SIGINT, FAST_STOP_TIMEOUT_S))
        for number, timeout_s in stages:
            self._process.send_signal(number)
            done, _ = await asyncio.wait([self.exited], timeout=timeout_s)
            if done:
                return
            log.warning("postgres.stop_is_slow", pid=self.pid, signal=number.name, waited_s=timeout_s)

    def _reap(self, loop: asyncio.AbstractEventLoop) -> None:
        returncode = self._process.wait()
        try:
            loop.call_soon_threadsafe(self._resolve, returncode)
        except RuntimeError:
            log.debug("postgres.exited_after_loop", pid=self.pid)

    def _resolve(self, returncode: int) -> None:
        if not self.exited.done():
            self.exited.set_result(returncode)


def spawn(installation: Installation, socket_dir: Path, settings: Mapping[str, str]) -> Postmaster:
    """Start a postmaster in its own session, so that a terminal's Ctrl-C does not stop it before the server drains."""
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with open(installation.log_path, "ab") as output:
        process = subprocess.Popen(
            [installation.bin_dir / "postgres", "-D", installation.cluster, "-k", socket_dir, *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=_environment(),
            start_new_session=True,
            **installation.account.popen_args(),
        )
    return Postmaster(process)


def init_cluster(installation: Installation) -> None:
    """Create the cluster unless it exists; an interrupted attempt leaves no cluster behind.

    Text sorts by code point and folds case by Unicode, through the builtin provider: the same on every machine.
    Raises: ClusterError.
    """
    if (installation.cluster / "PG_VERSION").exists():
        return
    fresh = installation.home / "cluster.new"
    shutil.rmtree(fresh, ignore_errors=True)
    # pg_trgm classifies letters by LC_CTYPE, not by the provider; with C it knows only ASCII letters.
    locale = ["--locale=C", "--lc-ctype=C.UTF-8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    done = subprocess.run(
        [
            installation.bin_dir / "initdb",
            "-D",
            fresh,
            f"--username={SUPERUSER}",
            "--auth=trust",
            "--no-instructions",
            "--encoding=UTF8",
            *locale,
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        env=_environment(),
        timeout=INITDB_TIMEOUT_S,
        check=False,
        **installation.account.popen_args(),
    )
    if done.returncode != 0:
        raise ClusterError(f"initdb failed: {done.stdout.decode(errors='replace')}")
    (fresh / "pg_hba.conf").write_text(PG_HBA)
    fresh.rename(installation.cluster)
    _sync_directory(installation.home)


def clear_leftovers(installation: Installation) -> None:
    """Stop every Postgres process that still runs on this cluster, and remove a stale pid file.

    Only for the holder of the home's lock: such processes were left over by a killed server or postmaster. A pid file
    may contain a process id that another program has by now (after a reboot, in a container).
    """
    pid, socket_dir = _read_pid_file(installation.cluster)
    if pid is not None and _runs_on(pid, installation.cluster):
        log.warning("postgres.leftover_stopped", pid=pid, cluster=str(installation.cluster))
        _stop_leftover(psutil.Process(pid))
    orphans = [process for process in psutil.process_iter() if _runs_on(process.pid, installation.cluster)]
    _, busy = psutil.wait_procs(orphans, timeout=ORPHAN_GRACE_S)
    for process in busy:
        log.warning("postgres.orphan_killed", pid=process.pid, cluster=str(installation.cluster))
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(busy, timeout=IMMEDIATE_STOP_TIMEOUT_S)
    if pid is not None and psutil.pid_exists(pid) and not _runs_on(pid, installation.cluster):
        (installation.cluster / "postmaster.pid").unlink(missing_ok=True)
    if socket_dir is not None:
        installation.drop_socket_dir(socket_dir)


def rotate_log(installation: Installation) -> None:
    """Keep one older log once the current one has grown to its limit."""
    if installation.log_path.exists() and installation.log_path.stat().st_size > LOG_BYTES_MAX:
        installation.log_path.replace(installation.log_path.with_suffix(".log.1"))


def log_tail(installation: Installation) -> str:
    """Return the end of the log, to explain a failed start."""
    with open(installation.log_path, "rb") as written:
        written.seek(max(0, installation.log_path.stat().st_size - LOG_TAIL_BYTES))
        return written.read().decode(errors="replace").strip()


def _read_pid_file(cluster: Path) -> tuple[int | None, Path | None]:
    """Return the process id and the socket directory from postmaster.pid, if it has them."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None, None
    pid = int(lines[0]) if lines and lines[0].strip().isdigit() else None
    return pid, Path(lines[4]) if len(lines) > 4 and lines[4].strip() else None


def _runs_on(pid: int, cluster: Path) -> bool:
    """Return whether the process is a live Postgres of this cluster, whose working directory is PGDATA."""
    try:
        process = psutil.Process(pid)
        return process.name() == "postgres" and process.cwd() == str(cluster)
    except psutil.Error:
        return False


def _stop_leftover(postmaster: psutil.Process) -> None:
    for number, timeout_s in ((signal.SIGINT, FAST_STOP_TIMEOUT_S), (signal.SIGQUIT, IMMEDIATE_STOP_TIMEOUT_S)):
        _signal(postmaster, number)
        _, alive = psutil.wait_procs([postmaster], timeout=timeout_s)
        if not alive:
            return
    _signal(postmaster, signal.SIGKILL)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        log.debug("postgres.already_gone", pid=process.pid)


def _sync_directory(path: Path) -> None:
    """Make a rename inside the directory durable."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _environment() -> dict[str, str]:
    """Return a small, fixed environment, without the caller's PG* variables and locale."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
