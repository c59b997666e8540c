"""The services of docker-compose.yml as processes of this machine: their own commands, environment, health checks.

No engine runs where the tests run. What a container would give is put in its place: a host name is 127.0.0.1, a port a
free one, a volume a folder, the image's /app a folder with what the Dockerfile copies there.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from lib.cli.ports import free_port
from lib.storage.embedded_binaries import installation
from tests.deploy import compose_file
from tests.deploy.compose_file import ROOT

CONTAINER_PORTS = ("5432", "4000", "3000", "8004")
HOSTS = ("db", "code-server", "webserver")
HEALTH_TIMEOUT_S = 180.0


@dataclass
class Machine:
    """Where things of the containers are on this machine; everything is below ``folder``."""

    folder: Path
    ports: dict[str, int] = field(default_factory=lambda: {port: free_port() for port in CONTAINER_PORTS})

    def __post_init__(self) -> None:
        """Make what the image and the volumes have."""
        for name in ("home", "tmp", "app", "logs"):
            (self.folder / name).mkdir()
        dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
        source = dockerfile.split(" AS source\n")[1].split("\nFROM ")[0]
        for line in re.findall(r"^COPY (.+) \S+$", source, re.MULTILINE):
            for name in line.split():
                self._put(name)

    def _put(self, name: str) -> None:
        target = self.folder / "app" / name
        target.parent.mkdir(exist_ok=True)
        if target.suffix == ".yaml":  # names hosts and ports
            target.write_text(self.translated((ROOT / name).read_text()))
        else:
            target.symlink_to(ROOT / name)

    def url(self, port: str, path: str = "") -> str:
        """Return the address of what a container serves on ``port``."""
        return f"http://127.0.0.1:{self.ports[port]}{path}"

    def translated(self, text: str) -> str:
        """Return a value, argument or file of a container as it is here."""
        if text == "/tmp":  # noqa: S108  the container's, and ours is another
            return str(self.folder / "tmp")
        text = text.replace("/var/lib/vitrine", str(self.folder / "home")).replace("/app/", f"{self.folder}/app/")
        text = text.replace("/etc/vitrine/", f"{self.folder}/").replace("0.0.0.0", "127.0.0.1")  # noqa: S104
        hosts = "|".join(HOSTS)
        text = re.sub(rf"(?<=//)(?:{hosts})(?=:)|(?<=@)(?:{hosts})(?=:)|(?<=host: )(?:{hosts})\b", "127.0.0.1", text)
        return re.sub(r"\b(?:5432|4000|3000|8004)\b", lambda match: str(self.ports[match[0]]), text)


class Containers:
    """The services, started in the order that their dependencies ask for."""

    def __init__(self, machine: Machine, variables: Mapping[str, str]) -> None:
        """``variables`` are what .env would have."""
        self.machine = machine
        self._variables = variables
        found = compose_file.services(variables)
        self.services = {name: service for name, service in found.items() if "profiles" not in service}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def up(self) -> None:
        """Start everything, each service once its dependencies are as it wants them; return when all are healthy."""
        graph = {name: service.get("depends_on", {}) for name, service in self.services.items()}
        for name in TopologicalSorter(graph).static_order():
            for dependency, wanted in graph[name].items():
                self._wait_for(dependency, wanted["condition"])
            if "command" in self.services[name]:  # the database's program is that of its image
                self._start(name)
        for name, service in self.services.items():
            if service["restart"] != "no":
                self._wait_for(name, "service_healthy")

    def stop(self) -> dict[str, int]:
        """Ask each service to end as Compose does, dependents first; return the exit codes."""
        codes = {}
        for name, process in reversed(self._processes.items()):
            process.send_signal(signal.SIGTERM)
            grace = self.services[name].get("stop_grace_period", "10s")
            codes[name] = process.wait({"1m": 60, "30s": 30}.get(grace, 10))
        self._processes.clear()
        return codes

    def kill(self) -> None:
        """End what is left, with everything that it started."""
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def is_healthy(self, name: str) -> bool:
        """Run the health check of a service, as the engine would inside the container."""
        check = self.services[name]["healthcheck"]
        command = [self.machine.translated(word) for word in check["test"][1:]]
        try:
            done = self._run(name, command, timeout=90)
        except subprocess.TimeoutExpired:
            return False
        with (self.machine.folder / "logs" / f"{name}-health").open("ab") as log:
            log.write(done.stdout + done.stderr)
        return done.returncode == 0

    def log(self, name: str) -> str:
        """Return the end of what a service and its health check have printed."""
        files = (self.machine.folder / "logs" / name, self.machine.folder / "logs" / f"{name}-health")
        return "\n".join(file.read_text(errors="replace")[-3000:] for file in files if file.exists())

    def _wait_for(self, name: str, condition: str) -> None:
        if condition == "service_completed_successfully":
            assert self._processes[name].wait(HEALTH_TIMEOUT_S) == 0, self.log(name)
            return
        deadline = time.monotonic() + HEALTH_TIMEOUT_S
        while not self.is_healthy(name):
            process = self._processes.get(name)
            assert process is None or process.poll() is None, self.log(name)
            assert time.monotonic() < deadline, self.log(name)
            time.sleep(1)

    def _start(self, name: str) -> None:
        command = [self.machine.translated(word) for word in self.services[name]["command"]]
        with (self.machine.folder / "logs" / name).open("wb") as log:
            self._processes[name] = subprocess.Popen(
                command, cwd=self.machine.folder / "app", env=self._environment(name),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=_default_interrupt,
            )  # fmt: skip

    def _run(self, name: str, command: list[str], timeout: float) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command, cwd=self.machine.folder / "app", env=self._environment(name),
            capture_output=True, timeout=timeout, check=False,
        )  # fmt: skip

    def _environment(self, name: str) -> dict[str, str]:
        """Return what the container has in its environment, and nothing of ours but where programs are."""
        programs = (Path(sys.executable).parent, installation(None) / "bin")
        path = ":".join([*map(str, programs), os.environ["PATH"]])
        given: dict[str, Any] = self.services[name]["environment"]
        # A variable without a value is passed on from .env where that has it.
        values = {key: self._variables.get(key) if value is None else value for key, value in given.items()}
        set_here = {key: self._here(value) for key, value in values.items() if value is not None}
        return {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", **set_here, "PATH": path}

    def _here(self, value: str) -> str:
        return value if value in self._variables.values() else self.machine.translated(value)


def _default_interrupt() -> None:
    """Undo what a shell's background job inherits: Dagster does at SIGTERM what is set for SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
