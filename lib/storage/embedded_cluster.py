"""The files of an embedded server: its folder, its password, its data, its socket; making them and launching it.

``home/postgres`` is the cluster folder, or a link to it where root's Postgres user cannot reach the home. It holds
the locks (embedded_guardian.py), ``password``, ``server.log`` and ``data``.
"""

import hashlib
import os
import secrets
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lib.errors import DatabaseUnavailable, InsufficientSpace
from lib.storage.embedded_binaries import can_enter, installation, server_account, shared_parent
from lib.storage.embedded_guardian import (
    Account,
    open_lock,
    read_pid_file,
    remove_sockets,
    run_as,
    run_detached,
    try_lock,
)

SUPERUSER = "vitrine"
SOCKET_PORT = 5432  # only part of the socket's name unless TCP is asked for
FIRST_START_BYTES = 200_000_000  # an empty cluster is 40 MB, its first write-ahead log 80 MB
LATER_START_BYTES = 50_000_000  # recovery writes before it frees anything
MAX_LOG_BYTES = 10_000_000
SOCKET_PARENT = Path("/tmp")  # noqa: S108 - a socket's path has room for 100 bytes, and TMPDIR may be long

ADVICE = (
    ("No space left on device", "free some disk space and start again"),
    ("Address already in use", "another program has that TCP port: choose another one"),
    ("Cannot allocate memory", "too little memory is free: close something and start again"),
    ("database files are incompatible", "another PostgreSQL version made this data: install the one it names"),
    ("invalid permissions", "the file system cannot keep it private: set VITRINE_HOME to a native Linux or macOS disk"),
    ("could not look up effective user", "this user id has no name on this machine: add one to /etc/passwd"),
)


@dataclass(frozen=True)
class Cluster:
    """One database cluster: its folder, the user it runs as (None: ourselves), its programs and its password."""

    folder: Path
    account: Account | None
    programs: Path
    password: str

    @property
    def data(self) -> Path:
        """The PGDATA folder; it exists only once it is complete."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """Where the server writes what it has to say."""
        return self.folder / "server.log"

    @property
    def server_lock(self) -> Path:
        """Held by every process of the server."""
        return self.folder / "server.lock"

    @property
    def socket_folder(self) -> Path:
        """The private folder of the socket. The password makes its name stable, yet impossible to take beforehand."""
        digest = hashlib.sha256(f"socket {self.folder} {self.password}".encode()).hexdigest()
        return SOCKET_PARENT / f"vitrine-{_uid(self.account)}-{digest[:16]}"


def cluster_folder(home: Path) -> Path:
    """Return the cluster folder of this home, made if it is missing. Safe to call from several processes at once."""
    link = home / "postgres"
    home.mkdir(parents=True, exist_ok=True)
    account = server_account(link / "data")
    if not link.exists():
        if account is None or can_enter(home, account):
            link.mkdir(exist_ok=True)
        else:
            _link_elsewhere(link)
    folder = link.resolve()
    if folder.stat().st_uid != os.geteuid():
        raise DatabaseUnavailable(f"{folder} belongs to another user: run Vitrine as that user or set VITRINE_HOME")
    folder.chmod(0o700 if account is None else 0o711)
    if not can_enter(folder, account):
        raise DatabaseUnavailable(f"the user that runs PostgreSQL cannot enter {folder}: open its parents (chmod o+x)")
    return folder


def open_cluster(folder: Path) -> Cluster:
    """Return the cluster in this folder; its password is made at the first call. The caller holds ``start.lock``."""
    account = server_account(folder / "data")
    return Cluster(folder, account, installation(account) / "bin", _password(folder / "password"))


def initialize(cluster: Cluster, *, start_lock: int) -> None:
    """Make an empty data folder, complete or not at all. ``start_lock`` stays held as long as initdb lives.

    Raises InsufficientSpace or DatabaseUnavailable.
    """
    require_space(cluster.folder, FIRST_START_BYTES)
    for leftover in cluster.folder.glob("initializing-*"):
        shutil.rmtree(leftover)
    stage = Path(tempfile.mkdtemp(prefix="initializing-", dir=cluster.folder))
    password = stage / "password"
    password.write_text(cluster.password)
    for path in (password, stage):
        _give(path, cluster.account)
    _run_initdb(cluster, stage, start_lock)
    (stage / "data").rename(cluster.data)
    _sync_folder(cluster.folder)
    shutil.rmtree(stage)


def _run_initdb(cluster: Cluster, stage: Path, start_lock: int) -> None:
    initdb = [str(cluster.programs / "initdb"), "-D", str(stage / "data"), "-U", SUPERUSER]
    options = [
        f"--pwfile={stage / 'password'}",
        "--auth=scram-sha-256",  # for the socket as well as for TCP
        # The built-in locale: the same order of strings on every machine, whatever locales are installed.
        *("--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8", "--no-instructions"),
        *("-c", "timezone=UTC", "-c", "max_connections=100", "-c", "jit=off"),
    ]
    done = run_as(cluster.account, initdb + options, keep_open=[start_lock])
    if done.returncode != 0:
        shutil.rmtree(stage, ignore_errors=True)
        raise DatabaseUnavailable(_explained(f"the database could not be made in {cluster.folder}", done.stdout))


def launch(cluster: Cluster, *, tcp_port: int | None) -> bool:
    """Start the postmaster and return without waiting for it; False if processes of an earlier one are still there."""
    require_space(cluster.data, LATER_START_BYTES)
    server_lock = open_lock(cluster.server_lock)
    try:
        if not try_lock(server_lock):
            return False
        _make_socket_folder(cluster)
        _launch_with(cluster, server_lock, tcp_port)
    finally:
        os.close(server_lock)
    return True


def _launch_with(cluster: Cluster, server_lock: int, tcp_port: int | None) -> None:
    if cluster.log.exists() and cluster.log.stat().st_size > MAX_LOG_BYTES:
        cluster.log.replace(cluster.log.with_suffix(".log.1"))
    settings = {
        "listen_addresses": "" if tcp_port is None else "127.0.0.1",
        "port": str(tcp_port or SOCKET_PORT),
        "unix_socket_directories": str(cluster.socket_folder),
        "unix_socket_permissions": "0700",
        "fsync": "on",
        "shared_buffers": f"{_shared_buffers_mb()}MB",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with open_log(cluster) as log:
        run_detached(
            cluster.account,
            [cluster.programs / "postgres", "-D", cluster.data, *options],
            environment=_stale_pid_excused(cluster.data),
            output=log.fileno(),
            keep_open=[server_lock],
        )


def _shared_buffers_mb() -> int:
    """Return how much of the library the server keeps at hand: an eighth of the memory, from 128 to 512 MB.

    The index of 100,000 vectors of 512 numbers takes 130 MB, the vectors as much again: with less than that, a search
    fetches most of its pages from the system and checks each. What a small library does not fill is never taken.
    """
    memory_mb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    return max(128, min(512, memory_mb // 8))


def open_log(cluster: Cluster) -> BinaryIO:
    """Open the server's log to append to it; it can quote rows, so it is private."""
    return os.fdopen(os.open(cluster.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def _stale_pid_excused(data: Path) -> dict[str, str]:
    """Let Postgres replace a pid file whose number some other process has by now, instead of refusing to start.

    We hold ``server.lock``, so no process of that server lives. Postgres does not count its grandparent as another
    server, and still checks the shared memory named in the file, so even a server started by hand stays safe.
    """
    first = read_pid_file(data)[:1]
    return {"PG_GRANDPARENT_PID": first[0].strip()} if first else {}


def _make_socket_folder(cluster: Cluster) -> None:
    folder = cluster.socket_folder
    try:
        folder.mkdir(mode=0o700)
        _give(folder, cluster.account)
    except FileExistsError:
        _check_private(folder, cluster.account)
    remove_sockets(folder)


def _check_private(folder: Path, account: Account | None) -> None:
    status = folder.lstat()
    if stat.S_ISDIR(status.st_mode) and status.st_uid == 0 == os.geteuid():
        _give(folder, account)  # ours, from a start that was killed before it gave the folder away
        status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != _uid(account) or status.st_mode & 0o077:
        raise DatabaseUnavailable(f"{folder} is not a private folder of the user that runs PostgreSQL: remove it")


def require_space(folder: Path, needed_bytes: int) -> None:
    """Raise InsufficientSpace if less than that is free on the file system of ``folder``."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise InsufficientSpace(
            f"the database needs {needed_bytes / 1e6:.0f} MB free on the disk of {folder} to start, "
            f"and {free / 1e6:.0f} MB are: free some space and start again"
        )


def failure(cluster: Cluster, what: str, *, since_byte: int = 0) -> DatabaseUnavailable:
    """Return the error for a server that does not come up: what it logged since then, and what to do."""
    log = ""
    if cluster.log.exists():
        with cluster.log.open("rb") as file:
            file.seek(min(since_byte, cluster.log.stat().st_size))
            log = file.read()[-20_000:].decode(errors="replace")
    return DatabaseUnavailable(_explained(f"{what} (log: {cluster.log})", log))


def _explained(what: str, log: str) -> str:
    advice = [text for sign, text in ADVICE if sign in log]
    return "\n".join([": ".join([what, *advice[:1]]), *log.strip().splitlines()[-10:]])


def _password(path: Path) -> str:
    if not path.exists():
        stage = path.with_suffix(".new")
        stage.unlink(missing_ok=True)
        descriptor = os.open(stage, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(24))
            file.flush()
            os.fsync(file.fileno())
        stage.replace(path)
    return path.read_text()


def _link_elsewhere(link: Path) -> None:
    folder = Path(tempfile.mkdtemp(prefix="vitrine-", dir=shared_parent()))
    try:
        link.symlink_to(folder)
    except FileExistsError:  # another process was faster; its folder counts
        folder.rmdir()


def _give(path: Path, account: Account | None) -> None:
    path.chmod(0o700 if path.is_dir() else 0o600)
    if account is not None:
        os.chown(path, account.uid, account.gid)


def _uid(account: Account | None) -> int:
    return os.geteuid() if account is None else account.uid


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
