"""The guardian of an embedded server: sleeps until nobody holds the server any more, then stops it.

It is a process of its own, since a holder killed with SIGKILL cannot stop anything. It is run by path under
``python -I -S`` and imports the standard library only, so that it costs few megabytes while it sleeps. The locks
it waits on, which the holders use too, live here for the same reason. All are ``flock`` files: the kernel drops
them when a process dies, however it dies, so none can be stale.

==================  ===============================================================================
``start.lock``      exclusive, while somebody starts or stops the server
``holders.lock``    shared, by every holder; exclusive, for a moment, by whoever asks if one is left
``guardian.lock``   exclusive, by the guardian as long as it lives; its number is inside, for people
``server.lock``     exclusive, by every process of the server: the postmaster inherits it open
==================  ===============================================================================
"""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

STOP_TIMEOUT_S = 20
POLL_S = 0.01


class Account(NamedTuple):
    """The operating-system user that Postgres runs as when we are root; Postgres refuses to run as root."""

    uid: int
    gid: int


class Listener(NamedTuple):
    """Where a postmaster says that it listens: ``tcp_address`` is empty when it listens on the socket alone."""

    socket_folder: str
    port: int
    tcp_address: str


def open_lock(path: Path) -> int:
    """Open a lock file, made if it is missing, without locking it; the descriptor is not inherited."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def try_lock(descriptor: int, operation: int = fcntl.LOCK_EX) -> bool:
    """Take the lock if that is possible at once, and say whether it was."""
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_within(descriptor: int, seconds: float) -> bool:
    """Take the exclusive lock, waiting at most so long, and say whether it was taken."""
    deadline = time.monotonic() + seconds
    while not try_lock(descriptor):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def is_locked(path: Path) -> bool:
    """Return whether some process holds this lock, shared or exclusive."""
    descriptor = open_lock(path)
    try:
        return not try_lock(descriptor)
    finally:
        release(descriptor)


def release(descriptor: int) -> None:
    """Give a lock back, also for copies of the descriptor in forked processes, and close it."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def run_as(
    account: Account | None,
    command: Sequence[str | Path],
    *,
    environment: dict[str, str] | None = None,
    output: int = subprocess.PIPE,
    keep_open: Sequence[int] = (),
) -> subprocess.CompletedProcess[str]:
    """Run a command as ``account`` (None: as we are) in its own session, output and errors as one stream."""
    return subprocess.run(
        [str(part) for part in command],
        user=None if account is None else account.uid,
        group=None if account is None else account.gid,
        extra_groups=None if account is None else [],
        cwd="/",  # wherever we are, the account may not be allowed to be
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"} | (environment or {}),
        umask=0o077,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        pass_fds=tuple(keep_open),
        start_new_session=True,
        text=True,
        errors="replace",
        check=False,
    )


def run_detached(
    account: Account | None,
    command: Sequence[str | Path],
    *,
    output: int,
    environment: dict[str, str] | None = None,
    keep_open: Sequence[int] = (),
) -> None:
    """Start a command that outlives us. It is nobody's child, so it leaves no zombie in a holder when it ends."""
    shell = ["/bin/sh", "-c", '"$@" &', "sh"]
    run_as(account, [*shell, *command], environment=environment, output=output, keep_open=keep_open)


def read_pid_file(data: Path) -> list[str]:
    """Return the lines of ``postmaster.pid``, none if it is missing. It may be stale: it proves nothing by itself."""
    try:
        return (data / "postmaster.pid").read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []


def listener_in(data: Path) -> Listener | None:
    """Return where a live postmaster of this data folder listens, None if none accepts connections.

    A socket that accepts belongs to a live postmaster, and a live one has replaced any stale pid file before it
    listened; so after this answer, and only then, the pid file can be believed.
    """
    lines = read_pid_file(data)
    if len(lines) < 6 or not lines[3].isdigit():
        return None
    listener = Listener(lines[4].strip(), int(lines[3]), lines[5].strip())
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2)
        try:
            probe.connect(f"{listener.socket_folder}/.s.PGSQL.{listener.port}")
        except OSError:
            return None
    return listener


def end_orphans(folder: Path) -> None:
    """Kill backends that outlived their postmaster: a busy one can go on for minutes and bars the next start.

    Does nothing while the postmaster lives. Only processes named ``postgres`` that have the ``server.lock`` of this
    very cluster folder open are touched.
    """
    processes = _postgres_processes_with(folder / "server.lock")
    if not _postmaster_among(processes, folder / "data"):
        _kill(processes)


def _kill(processes: Sequence[int]) -> None:
    for pid in processes:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _postmaster_among(processes: Sequence[int], data: Path) -> bool:
    return read_pid_file(data)[:1] in [[str(pid)] for pid in processes]


def _postgres_processes_with(file: Path) -> list[int]:
    if sys.platform == "linux":
        return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if _is_postgres_with(folder, file)]
    listing = subprocess.run(
        ["/usr/sbin/lsof", "-t", "-a", "-c", "postgres", "--", str(file)], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in listing.stdout.split()]


def _is_postgres_with(process: Path, file: Path) -> bool:
    try:
        if (process / "comm").read_text().strip() != "postgres":
            return False
        return any(descriptor.exists() and descriptor.samefile(file) for descriptor in (process / "fd").iterdir())
    except OSError:  # it has ended meanwhile, or is not ours to look at
        return False


def stop_server(folder: Path, pg_ctl: Path, socket_folder: Path, account: Account | None) -> None:
    """Stop the server of this cluster folder: disconnect its clients, or crash it if that takes too long.

    The caller holds ``start.lock``. Returns when no process of the server is left.
    """
    data, server = folder / "data", open_lock(folder / "server.lock")
    listener = _wait_for_listener(data, server)
    for mode in ("fast", "immediate"):
        if listener is None or try_lock(server):
            break
        run_as(account, [pg_ctl, "stop", "-D", data, "-m", mode, "-t", str(STOP_TIMEOUT_S)])
        lock_within(server, 1)
    if not try_lock(server):  # orphans, or a server that is stuck: its log is safe on disk, nobody waits for more
        _kill(_postgres_processes_with(folder / "server.lock"))
        lock_within(server, STOP_TIMEOUT_S)
    with suppress(OSError):  # a tidy /tmp is no reason to fail
        remove_sockets(socket_folder)
        socket_folder.rmdir()
    release(server)


def remove_sockets(folder: Path) -> None:
    """Remove the sockets that a killed server left in its private folder. The caller holds ``server.lock``."""
    for leftover in folder.glob(".s.PGSQL.*"):
        leftover.unlink()


def _wait_for_listener(data: Path, server: int) -> Listener | None:
    # A postmaster that is just starting holds the lock already but does not listen yet.
    deadline = time.monotonic() + 3
    while not try_lock(server) and time.monotonic() < deadline:
        listener = listener_in(data)
        if listener is not None:
            return listener
        time.sleep(POLL_S)
    return None


def guard(folder: Path, pg_ctl: Path, socket_folder: Path, account: Account | None, guardian_lock: int) -> None:
    """Sleep until the last holder has left, stop the server and return."""
    os.ftruncate(guardian_lock, 0)
    os.pwrite(guardian_lock, f"{os.getpid()}\n".encode(), 0)
    holders, starts = open_lock(folder / "holders.lock"), open_lock(folder / "start.lock")
    while True:
        fcntl.flock(holders, fcntl.LOCK_EX)
        # Given back at once: whoever starts takes start.lock first, so taking it second could deadlock.
        fcntl.flock(holders, fcntl.LOCK_UN)
        fcntl.flock(starts, fcntl.LOCK_EX)
        if try_lock(holders):
            fcntl.flock(holders, fcntl.LOCK_UN)
            break
        fcntl.flock(starts, fcntl.LOCK_UN)
    stop_server(folder, pg_ctl, socket_folder, account)
    os.close(guardian_lock)  # before start.lock is free: the next to start must see that there is no guardian
    os.close(starts)


if __name__ == "__main__":
    cluster, program, sockets = (Path(text) for text in sys.argv[1:4])
    user_id, group_id, lock = (int(text) for text in sys.argv[4:])
    guard(cluster, program, sockets, None if user_id < 0 else Account(user_id, group_id), lock)
