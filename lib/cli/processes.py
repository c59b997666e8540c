"""The processes of a running Vitrine: started together, watched, ended together.

Each child is asked by the kernel to end when we do (Linux), so even a killed supervisor leaves nothing behind.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from lib import logs
from lib.errors import VitrineError

log = structlog.get_logger()
PR_SET_PDEATHSIG = 1
STOP_TIMEOUT_S = 15.0
MAX_DEATHS = 5
DEATHS_WINDOW_S = 120.0


class ProcessFailed(VitrineError):
    """A process that should be running has ended."""


class Processes:
    """A group of child processes with a log file each. Use it as a context manager: leaving it ends them all."""

    def __init__(self, log_folder: Path, environment: Mapping[str, str]) -> None:
        self._log_folder = log_folder
        self.environment = {**os.environ, **environment}
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._commands: dict[str, tuple[str, ...]] = {}
        self._deaths: dict[str, list[float]] = {}
        self.stop_timeout_s = STOP_TIMEOUT_S
        log_folder.mkdir(parents=True, exist_ok=True)

    def start(
        self, name: str, *arguments: str, python: bool = True, stdout: Path | None = None
    ) -> subprocess.Popen[bytes]:
        """Start ``python -m ARGUMENTS`` (or a program), its output going to ``<name>.log``.

        With ``stdout`` its standard output replaces that file, and the log keeps the rest.
        """
        logs.bound_size(self.log_path(name))
        command = (sys.executable, "-m", *arguments) if python else arguments
        self._commands[name] = command
        with ExitStack() as files:
            log_file = files.enter_context(self.log_path(name).open("ab"))
            child = subprocess.Popen(
                command,
                stdout=files.enter_context(stdout.open("wb")) if stdout else log_file,
                stderr=log_file,
                stdin=subprocess.DEVNULL,
                env=self.environment,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        self._children[name] = child
        return child

    def has_ended(self, name: str) -> bool:
        """Return whether a process has been started and has ended by itself."""
        return name in self._children and self._children[name].poll() is not None

    def bury(self, name: str) -> None:
        """End what a dead process left of its own (its group), before another takes its place.

        Raises ProcessFailed, with the end of its log, if it died ``MAX_DEATHS`` times within ``DEATHS_WINDOW_S``: then
        starting it again does not help.
        """
        child = self._children[name]
        _signal_group(child, signal.SIGKILL)
        now = time.monotonic()
        self._deaths[name] = [*(death for death in self._deaths.get(name, []) if death > now - DEATHS_WINDOW_S), now]
        if len(self._deaths[name]) >= MAX_DEATHS:
            self.require_alive([name])
        log.warning("process_died", name=name, code=child.returncode)

    def start_again(self, name: str) -> subprocess.Popen[bytes]:
        """Start a process by the command that it was started with."""
        return self.start(name, *self._commands[name], python=False)

    def log_path(self, name: str) -> Path:
        """Return where the output of a process goes."""
        return self._log_folder / f"{name}.log"

    def bound_logs(self, *, max_bytes: int = logs.MAX_LOG_BYTES) -> None:
        """Keep each log file, and the older one beside it, from growing much beyond ``max_bytes``."""
        for name in self._children:
            logs.bound_size(self.log_path(name), max_bytes=max_bytes)

    def require_alive(self, names: Sequence[str] = ()) -> None:
        """Raise ProcessFailed, with the end of its log, if one of these (or any) has ended."""
        for name, child in self._children.items():
            if (not names or name in names) and child.poll() is not None:
                raise ProcessFailed(f"{name} ended with code {child.returncode}:\n{self.tail(name)}")

    def tail(self, name: str, lines: int = 15) -> str:
        """Return the end of a process's log."""
        text = self.log_path(name).read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def wait_until(self, ready: Callable[[], bool], *, name: str, timeout_s: float) -> None:
        """Wait until ``ready()``, as long as the process ``name`` lives. Raises ProcessFailed."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            self.require_alive([name])
            if time.monotonic() > deadline:
                raise ProcessFailed(f"{name} was not ready within {timeout_s:.0f} s:\n{self.tail(name)}")
            time.sleep(0.1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End all children, the last started first: asked nicely, then killed with everything that they started."""
        for name in reversed(self._children):
            _signal_group(self._children[name], signal.SIGTERM)
        deadline = time.monotonic() + self.stop_timeout_s
        for name, child in reversed(self._children.items()):
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("process_killed", name=name, pid=child.pid)
            _signal_group(child, signal.SIGKILL)
            child.wait()
        self._children.clear()


def _signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(child.pid, number)
    except (ProcessLookupError, PermissionError):  # macOS answers EPERM for a group that has just gone
        return


def _die_with_parent() -> None:
    # Whoever started us may have told us to ignore it, and that is inherited; our children are ended by it.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
