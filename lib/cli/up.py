"""``vitrine up``: everything that runs, until Ctrl-C.

The API starts first and answers within seconds; Dagster's three processes take longer and nobody has to wait for them.
Whatever dies, the database included, is started again.
"""

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa
import structlog
import yaml
from rich.console import Console

from lib.cli import ports
from lib.cli.environment import process_environment
from lib.cli.home_lock import only_supervisor
from lib.cli.loopback import answers
from lib.cli.processes import Processes, ProcessFailed
from lib.cli.sources_file import upsert_sources_file
from lib.cli.weights import missing_weights
from lib.errors import DatabaseUnavailable
from lib.settings import Settings
from lib.storage.library import Library, open_library

console = Console()
log = structlog.get_logger()
API_TIMEOUT_S = 30.0
SITE_TIMEOUT_S = 20.0
SITE_PORT_FILE = "site_port"
WORKSPACE_FILE = "workspace.yaml"
DAGSTER_TIMEOUT_S = 120.0
JSON_LINES = ("--log-format", "json")
LOOK_EVERY_S = 1.0
SERVERS = ("code-server", "daemon", "webserver", "api")  # in the order in which they are started again


def run(settings: Settings) -> None:
    """Start everything on the library of ``settings`` and watch it; end it all on Ctrl-C or SIGTERM.

    Raises
    ------
    ConfigurationError
        If another ``vitrine up`` runs on this home, or a port is taken; the message names the holder.
    ProcessFailed
        If one of the processes dies again and again.
    """
    settings = with_demo_site(settings)
    for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT too: a shell's background job inherits it ignored
        signal.signal(number, signal.default_int_handler)
    with only_supervisor(settings.home_path), open_library(settings) as library:
        _require_ports(settings)
        count = upsert_sources_file(library)
        with library.database.session() as session:
            if hint := missing_weights(session, settings.home_path):
                console.print(f"[bold yellow]Models:[/] {hint}", soft_wrap=True)
        environment = process_environment(settings, library.urls)
        with Processes(settings.home_path / "logs", environment) as processes:
            try:
                start_demo_site(processes, settings)
                start_api(processes, library)
                console.print(f"Gallery   http://127.0.0.1:{settings.api_port}/")
                console.print(f"API       http://127.0.0.1:{settings.api_port}/docs")
                start_dagster(processes, library)
                console.print(f"Dagster   http://127.0.0.1:{settings.dagster_port}")
                console.print(f"Library   {settings.home_path}   sources from {settings.sources_file}: {count}")
                console.print("Ctrl-C ends everything.")
                watch(processes, library)
            except KeyboardInterrupt:
                console.print("Ending ...")


def _require_ports(settings: Settings) -> None:
    """Raise ConfigurationError unless both ports are free; what a killed supervisor left may still be ending."""
    home = settings.home_path
    ports.require_free(settings.api_port, what="the API", remedy="choose another port with VITRINE_API_PORT", home=home)
    remedy = "choose another port with VITRINE_DAGSTER_PORT"
    ports.require_free(settings.dagster_port, what="the Dagster UI", remedy=remedy, home=home)


def with_demo_site(settings: Settings) -> Settings:
    """Return the settings with the demo's web site opened to the scraper, in the demo's library; else unchanged."""
    port_file = settings.home_path / SITE_PORT_FILE
    if not port_file.exists():
        return settings
    address = f"127.0.0.1:{int(port_file.read_text())}"
    return settings.model_copy(update={"allowed_addresses": address})


def start_demo_site(processes: Processes, settings: Settings) -> None:
    """Serve the demo's web site in the demo's library, unless it is being served; elsewhere do nothing."""
    port_file = settings.home_path / SITE_PORT_FILE
    if port_file.exists() and ports.is_free(port := int(port_file.read_text())):
        processes.start("site", "demo.serve", "--port", str(port), "--log", str(settings.home_path / "site.jsonl"))
        processes.wait_until(lambda: not ports.is_free(port), name="site", timeout_s=SITE_TIMEOUT_S)


def start_api(processes: Processes, library: Library) -> None:
    """Start the query API and wait until it says that it lives; models load behind that."""
    processes.start("api", "query_api")
    url = f"http://127.0.0.1:{library.settings.api_port}/livez"
    wait_for(processes, library, "api", lambda: answers(url), timeout_s=API_TIMEOUT_S)


def start_dagster(processes: Processes, library: Library) -> None:
    """End what a crash left open, then start the code server, the web server and the daemon."""
    settings = library.settings
    reconcile(processes, launched_before=time.time())
    code_port = ports.free_port()
    workspace = write_workspace(settings.home_path / "dagster", code_port)
    # One process, whose death is seen: the reloading `code-server start` would go on without the one that it watches.
    processes.start(
        "code-server", "dagster", "api", "grpc", "-h", "127.0.0.1", "-p", str(code_port),
        "-m", "orchestration.definitions", "--location-name", "vitrine", *JSON_LINES,
    )  # fmt: skip
    wait_for(processes, library, "code-server", lambda: not ports.is_free(code_port), timeout_s=DAGSTER_TIMEOUT_S)
    processes.start("daemon", "dagster._daemon", "run", "-w", str(workspace), *JSON_LINES)
    processes.start(
        "webserver", "dagster_webserver", "-h", "127.0.0.1", "-p", str(settings.dagster_port), "-w", str(workspace),
        *JSON_LINES,
    )  # fmt: skip
    url = f"http://127.0.0.1:{settings.dagster_port}/server_info"
    wait_for(processes, library, "webserver", lambda: answers(url), timeout_s=DAGSTER_TIMEOUT_S)


def reconcile(processes: Processes, *, launched_before: float | None) -> None:
    """End Dagster's runs whose process is gone, of those launched before then (seconds since 1970).

    None spares the runs of the last minute, which somebody beside us may just have started.
    """
    horizon = [] if launched_before is None else ["--launched-before", str(launched_before)]
    processes.start("reconcile", "orchestration.reconcile", *horizon).wait()


def write_workspace(folder: Path, code_port: int) -> Path:
    """Write the workspace file that points Dagster at our code server."""
    server = {"host": "127.0.0.1", "port": code_port, "location_name": "vitrine"}
    path = folder / WORKSPACE_FILE
    path.write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}))
    return path


def wait_for(processes: Processes, library: Library, name: str, ready: Callable[[], bool], *, timeout_s: float) -> None:
    """Wait until ``ready()``, starting again what dies meanwhile. Raises ProcessFailed."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        keep_alive(processes, library)
        if time.monotonic() > deadline:
            raise ProcessFailed(f"{name} was not ready within {timeout_s:.0f} s:\n{processes.tail(name)}")
        time.sleep(0.1)


def watch(processes: Processes, library: Library) -> None:
    """Keep everything alive, for ever. Raises ProcessFailed when something dies again and again."""
    while True:
        keep_alive(processes, library)
        processes.bound_logs()
        time.sleep(LOOK_EVERY_S)


def keep_alive(processes: Processes, library: Library) -> None:
    """Start again what has died: the database first, since nothing else lives long without it."""
    for name in SERVERS:
        if processes.has_ended(name):
            _heal_database(library)
            processes.bury(name)
            died = time.time()
            processes.start_again(name)
            if name == "code-server":
                _wait_for_code_server(processes, library.settings)
                reconcile(processes, launched_before=died)  # its runs went with it; Dagster retries them on the new one
    _heal_database(library)


def _wait_for_code_server(processes: Processes, settings: Settings) -> None:
    workspace = yaml.safe_load((settings.home_path / "dagster" / WORKSPACE_FILE).read_text())
    port = workspace["load_from"][0]["grpc_server"]["port"]
    deadline = time.monotonic() + API_TIMEOUT_S
    while ports.is_free(port) and not processes.has_ended("code-server") and time.monotonic() < deadline:
        time.sleep(0.1)


def _heal_database(library: Library) -> None:
    try:
        with library.database.session() as session:
            session.execute(sa.select(1))
    except DatabaseUnavailable as error:
        log.warning("database_away", detail=str(error))
        with suppress(DatabaseUnavailable), open_library(library.settings):
            log.info("database_back")
