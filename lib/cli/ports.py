"""Ports on loopback: free ones, taken ones and who holds them."""

import socket
import time
from contextlib import closing
from pathlib import Path

import psutil

from lib.errors import ConfigurationError

LEFTOVER_PATIENCE_S = 20.0


def is_free(port: int) -> bool:
    """Return whether a server could listen on ``port`` of 127.0.0.1."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def holder(port: int) -> str:
    """Return who listens on ``port``, as far as the system tells us."""
    try:
        return _describe(_holder_pid(port))
    except psutil.AccessDenied:
        return "another user's process"


def _holder_pid(port: int) -> int | None:
    for connection in psutil.net_connections("tcp"):
        if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
            return connection.pid
    return None


def _describe(pid: int | None) -> str:
    if pid is None:
        return "another user's process"
    try:
        return f"{psutil.Process(pid).name()} (pid {pid})"
    except psutil.Error:
        return f"pid {pid}"


def require_free(port: int, *, what: str, remedy: str, home: Path | None = None) -> None:
    """Raise ConfigurationError, naming the holder, when ``port`` is taken.

    A holder that works on ``home`` is what a killed supervisor left, already told to end: it is given some seconds.
    """
    deadline = time.monotonic() + (LEFTOVER_PATIENCE_S if home is not None else 0)
    while not is_free(port):
        if home is None or time.monotonic() > deadline or not _works_on(home, _holder_pid(port)):
            raise ConfigurationError(
                f"port {port}, wanted for {what}, is held by {holder(port)}; end that, or {remedy}"
            )
        time.sleep(0.1)


def _works_on(home: Path, pid: int | None) -> bool:
    try:
        return pid is None or psutil.Process(pid).environ().get("VITRINE_HOME") == str(home)
    except psutil.NoSuchProcess:
        return True  # it ended meanwhile
    except psutil.Error:
        return False
