"""The embedded PostgreSQL server of a library: started by its first holder, shared, stopped after its last.

Belongs here: starting, holding and leaving. Its files are in embedded_cluster.py, its programs in
embedded_binaries.py, and the process that stops it in embedded_guardian.py.
"""

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
import sqlalchemy as sa
from psycopg import sql

from lib.errors import DatabaseUnavailable
from lib.storage import embedded_guardian
from lib.storage.embedded_cluster import (
    SUPERUSER,
    Cluster,
    cluster_folder,
    failure,
    initialize,
    launch,
    open_cluster,
    open_log,
)
from lib.storage.embedded_guardian import (
    POLL_S,
    STOP_TIMEOUT_S,
    Listener,
    end_orphans,
    is_locked,
    listener_in,
    lock_within,
    open_lock,
    release,
    run_detached,
)

START_TIMEOUT_S = 120.0  # recovery after a crash replays up to 1 GB of log
ORPHAN_PATIENCE_S = 2.0
MAX_LAUNCHES = 5
CREATE_DATABASE_LOCK = 0x5669_7472_696E_6502


class EmbeddedServer:
    """A hold on the server of one home; the server runs as long as any process has such a hold.

    Use it as a context manager, or call ``close``. A process that dies without doing so leaves as well.
    """

    def __init__(self, cluster: Cluster, holder_lock: int, tcp_port: int | None) -> None:
        """Use ``start`` instead."""
        self._cluster = cluster
        self._holder_lock: int | None = holder_lock
        self._tcp_port = tcp_port
        self._listener = Listener("", 0, "")

    @classmethod
    def start(cls, home: Path, *, tcp_port: int | None = None) -> Self:
        """Hold the server of ``home``, started (and at the first time made) if it does not run.

        Parameters
        ----------
        home : Path
            The library's folder, of any length; the server keeps its files in ``home/postgres``.
        tcp_port : int, optional
            Listen on this port of 127.0.0.1 too, password checked; without it there is only a private socket.

        Raises
        ------
        DatabaseUnavailable
            If it cannot be started; the message has the end of the server's log and what to do.
        InsufficientSpace
            If the disk is nearly full.
        """
        with _system_errors_explained(home):
            folder = cluster_folder(home.absolute())
            with _turn_to_start(folder) as start_lock, ExitStack() as on_failure:
                holder_lock = open_lock(folder / "holders.lock")
                on_failure.callback(os.close, holder_lock)
                fcntl.flock(holder_lock, fcntl.LOCK_SH)
                server = cls(open_cluster(folder), holder_lock, tcp_port)
                server._bring_up(start_lock)
                on_failure.pop_all()
                return server

    def ensure_running(self) -> None:
        """Start the server, and its guardian, again if they were killed. Cheap when all is well.

        Raises what ``start`` raises. The URLs stay as they were.
        """
        with _system_errors_explained(self._cluster.folder), _turn_to_start(self._cluster.folder) as start_lock:
            self._bring_up(start_lock)

    def url(self, database: str, driver: str = "postgresql+psycopg", *, over_tcp: bool = False) -> str:
        """Return the SQLAlchemy URL, password included, of a database: over the socket unless TCP is asked for.

        Raises DatabaseUnavailable if TCP is asked for and the server was started without it.
        """
        if over_tcp and not self._listener.tcp_address:
            raise DatabaseUnavailable("the embedded database listens on no TCP port: start it with tcp_port")
        address = sa.URL.create(driver, SUPERUSER, self._cluster.password, database=database)
        if over_tcp:
            address = address.set(host=self._listener.tcp_address, port=self._listener.port)
        else:
            query = {"host": self._listener.socket_folder, "port": str(self._listener.port)}
            address = address.update_query_dict(query)
        return address.render_as_string(hide_password=False)

    def create_database_if_missing(self, name: str) -> None:
        """Make an empty database unless there is one of that name; several processes may ask at once."""
        try:
            with self._connect(self._listener) as connection:
                # Released with the connection; CREATE DATABASE itself cannot say IF NOT EXISTS.
                connection.execute("SELECT pg_advisory_lock(%s)", [CREATE_DATABASE_LOCK])
                if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except psycopg.OperationalError as error:
            raise failure(self._cluster, f"the database {name} cannot be made: {error}") from error

    def close(self) -> None:
        """Leave. If nobody else holds the server, return once it has stopped."""
        if self._holder_lock is None:
            return
        if self._cluster.folder.is_dir():
            self._ensure_guardian()
        os.close(self._holder_lock)
        self._holder_lock = None
        if self._cluster.folder.is_dir():
            self._wait_until_stopped_or_held()

    def __enter__(self) -> Self:
        """Return itself: it is held already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave the server."""
        self.close()

    def _bring_up(self, start_lock: int) -> None:
        self._ensure_guardian()  # first: if we are killed from here on, it stops what we started
        if not self._cluster.data.exists():
            initialize(self._cluster, start_lock=start_lock)
        self._listener = self._wait_until_ready()
        if self._tcp_port not in (None, self._listener.port if self._listener.tcp_address else None):
            raise DatabaseUnavailable(
                f"the embedded database already runs for another process without TCP port {self._tcp_port}: "
                "stop that one first"
            )

    def _ensure_guardian(self) -> None:
        """Start a guardian unless one lives. It inherits its lock already taken, so there is never a second one."""
        guardian_lock = open_lock(self._cluster.folder / "guardian.lock")
        try:
            # Others look at this lock by taking it for an instant, so one refusal does not prove a guardian.
            if lock_within(guardian_lock, 3 * POLL_S):
                self._spawn_guardian(guardian_lock)
        finally:
            os.close(guardian_lock)

    def _spawn_guardian(self, guardian_lock: int) -> None:
        uid, gid = self._cluster.account or (-1, -1)
        python = [sys.executable, "-I", "-S", embedded_guardian.__file__]
        pg_ctl = self._cluster.programs / "pg_ctl"
        paths = (self._cluster.folder, pg_ctl, self._cluster.socket_folder)
        arguments = [str(part) for part in (*paths, uid, gid, guardian_lock)]
        with open_log(self._cluster) as log:
            run_detached(
                None,
                [*python, *arguments],
                environment=dict(os.environ),  # some builds of Python need LD_LIBRARY_PATH to start
                output=log.fileno(),
                keep_open=[guardian_lock],
            )

    def _wait_until_ready(self) -> Listener:
        started = deaf_since = time.monotonic()
        launches, log_start = 0, 0
        while time.monotonic() < started + START_TIMEOUT_S:
            listener = listener_in(self._cluster.data)
            if listener is not None:
                deaf_since = time.monotonic()
                if self._answers(listener):
                    return listener
            if not is_locked(self._cluster.server_lock):
                if launches and not (launches < MAX_LAUNCHES and self._lost_shared_memory_race(log_start)):
                    break
                log_start = self._cluster.log.stat().st_size
                launches += launch(self._cluster, tcp_port=self._tcp_port)
                deaf_since = time.monotonic()
            elif time.monotonic() > deaf_since + ORPHAN_PATIENCE_S:
                end_orphans(self._cluster.folder)
            time.sleep(POLL_S)
        raise failure(self._cluster, "the embedded database does not start", since_byte=log_start)

    def _lost_shared_memory_race(self, log_start: int) -> bool:
        """Return whether the launch failed only because a killed server's shared memory was not released yet."""
        return "pre-existing shared memory block" in str(failure(self._cluster, "", since_byte=log_start))

    def _answers(self, listener: Listener) -> bool:
        try:
            self._connect(listener).close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise DatabaseUnavailable(
                    f"the embedded database does not know the password in {self._cluster.folder / 'password'}: "
                    "put the old file back, or set VITRINE_HOME to another folder"
                ) from error
            return False  # it is starting up, recovering or shutting down
        return True

    def _connect(self, listener: Listener) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=listener.socket_folder,
            port=listener.port,
            user=SUPERUSER,
            password=self._cluster.password,
            dbname="postgres",
            autocommit=True,
            connect_timeout=10,
        )

    def _wait_until_stopped_or_held(self) -> None:
        deadline = time.monotonic() + STOP_TIMEOUT_S
        seen_held = 0
        while seen_held < 3 and time.monotonic() < deadline:
            if not is_locked(self._cluster.folder / "guardian.lock"):
                return
            # The guardian takes this lock too, for an instant: one look is not enough.
            seen_held = seen_held + 1 if is_locked(self._cluster.folder / "holders.lock") else 0
            time.sleep(POLL_S)


@contextmanager
def _turn_to_start(folder: Path) -> Iterator[int]:
    """Hold ``start.lock``, waiting for whoever starts or stops the server now; yields its descriptor."""
    start_lock = open_lock(folder / "start.lock")
    try:
        if not lock_within(start_lock, START_TIMEOUT_S):
            raise DatabaseUnavailable(
                f"another process has been starting or stopping the database in {folder} "
                f"for {START_TIMEOUT_S:.0f} s: see its log, or end that process"
            )
        yield start_lock
    finally:
        release(start_lock)


@contextmanager
def _system_errors_explained(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DatabaseUnavailable(f"the embedded database in {home} cannot be started: {error}") from error
