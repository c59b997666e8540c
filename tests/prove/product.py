"""Vitrine as its owner runs it: the commands ``up`` and ``run`` on one home, as processes of their own.

Nothing here holds the library open. What goes on inside is read over connections of our own, which know only the
server's socket and password: the product must come up by itself.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from lib.cli.loopback import answers
from lib.cli.ports import free_port
from lib.scraping.site import Site
from lib.storage.embedded_cluster import SUPERUSER
from lib.storage.embedded_guardian import listener_in
from tests.prove import site, victims

OPEN_RUNS = (
    "SELECT run_id, status FROM runs WHERE status IN ('NOT_STARTED', 'QUEUED', 'STARTING', 'STARTED', 'CANCELING')"
)
REQUEST_TIMEOUT_S = 45.0  # longer than the API waits for Dagster
STOP_TIMEOUT_S = 60.0
RUN_TIMEOUT_S = 900.0


class DatabaseAway(Exception):
    """The library's database does not answer now."""


@dataclass
class Product:
    """One home, its ports, its supervisor process if one runs, and every request that the API acknowledged."""

    home: Path
    site_port: int
    api_port: int = field(default_factory=free_port)
    dagster_port: int = field(default_factory=free_port)
    acknowledged: list[str] = field(default_factory=list)
    supervisor: subprocess.Popen[bytes] | None = None
    starts: int = 0

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        rules = Site.model_validate(site.source(self.site_port)).model_dump(mode="json")
        (self.home / "sources.yaml").write_text(json.dumps({"sources": [rules]}))  # JSON is YAML

    @property
    def environment(self) -> dict[str, str]:
        """The settings of this library."""
        return {
            **os.environ,
            "VITRINE_HOME": str(self.home),
            "VITRINE_PROFILE": "packaged",
            "VITRINE_SOURCES_FILE": str(self.home / "sources.yaml"),
            "VITRINE_ALLOWED_ADDRESSES": f"127.0.0.1:{self.site_port}",
            "VITRINE_API_PORT": str(self.api_port),
            "VITRINE_DAGSTER_PORT": str(self.dagster_port),
            "DATABASE_URL": "",
        }

    def command(self, *words: str, log: str) -> subprocess.Popen[bytes]:
        """Start ``vitrine WORDS``, its output going to a log of that name."""
        with (self.home / f"{log}.log").open("ab") as file:
            return subprocess.Popen(
                [sys.executable, "-m", "lib.cli", *words],
                env=self.environment, stdout=file, stderr=file, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip

    def up(self) -> None:
        """Start ``vitrine up`` unless it runs; waits for nothing."""
        if self.supervisor is None or self.supervisor.poll() is not None:
            self.supervisor = self.command("up", log="up")
            self.starts += 1

    @property
    def is_up(self) -> bool:
        """Whether the supervisor lives and both its servers answer."""
        api, dagster = f"http://127.0.0.1:{self.api_port}/livez", f"http://127.0.0.1:{self.dagster_port}/server_info"
        return self.supervisor is not None and self.supervisor.poll() is None and answers(api) and answers(dagster)

    def down(self) -> int:
        """Press Ctrl-C and return the exit code."""
        if self.supervisor is None:
            return 0
        self.supervisor.send_signal(signal.SIGINT)
        return self.supervisor.wait(STOP_TIMEOUT_S)

    def ask_for(self, job: str) -> bool:
        """Ask the API for a job and return whether it acknowledged."""
        try:
            self.acknowledged.append(self._post(f"/v1/jobs/{job}")["request_id"])
        except (OSError, ValueError, KeyError):  # refused, reset, timed out, half an answer: not acknowledged
            return False
        return True

    def purge(self) -> None:
        """Empty the library for good, through the API."""
        self._post("/v1/library/clear?purge=true")
        self.acknowledged.clear()

    def _post(self, path: str) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self.api_port}{path}", method="POST", data=b"")
        with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT_S) as reply:
            return json.load(reply)

    def rows(self, database: str, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query. Raises DatabaseAway."""
        try:
            with self._connect(database) as connection:
                return connection.execute(query).fetchall()  # type: ignore[call-overload, no-any-return]
        except (psycopg.OperationalError, psycopg.errors.UndefinedTable, OSError) as error:  # away, or not made yet
            raise DatabaseAway(str(error)) from error

    def _connect(self, database: str) -> psycopg.Connection[tuple[Any, ...]]:
        listener = listener_in(self.home / "postgres" / "data")
        if listener is None:
            raise DatabaseAway("nobody listens")
        password = (self.home / "postgres" / "password").read_text()
        return psycopg.connect(
            host=listener.socket_folder, port=listener.port, user=SUPERUSER, password=password, dbname=database,
            connect_timeout=5, autocommit=True,
        )  # fmt: skip

    def open_runs(self) -> set[str]:
        """Return the ids of Dagster's runs that have not ended. Raises DatabaseAway."""
        return {run_id for run_id, _ in self.rows("vitrine_dagster", OPEN_RUNS)}

    def leftovers(self, within_s: float = 30.0) -> list[str]:
        """Return the processes that still live so long after everything was ended."""
        deadline = time.monotonic() + within_s
        while (left := victims.processes_of(self.home)) and time.monotonic() < deadline:
            time.sleep(0.2)
        return [f"{process.pid} {process.name()}" for process in left]


@contextmanager
def site_process(log: Path, port: int) -> Iterator[int]:
    """Serve the small site from a process of its own, which nobody kills."""
    serving = subprocess.Popen([sys.executable, "-m", "tests.prove.site", "--port", str(port), "--log", str(log)])
    try:
        while not _serves(port):
            if serving.poll() is not None:
                raise RuntimeError("the small site does not start")
            time.sleep(0.05)
        yield port
    finally:
        serving.terminate()
        serving.wait()


def _serves(port: int) -> bool:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Host": "gallery.localhost"})
    try:
        with urllib.request.urlopen(request, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


def run_to_the_end(product: Product, jobs: Sequence[str] = ("scrape", "derive"), *, log: str = "run") -> int:
    """Run jobs as ``vitrine run`` does and return the exit code."""
    return product.command("run", *jobs, log=log).wait(RUN_TIMEOUT_S)
