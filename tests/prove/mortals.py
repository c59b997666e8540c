"""Processes that are killed and started again: our own, which tell what they did, and the API."""

import os
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from lib.cli.ports import free_port


class MortalProcess:
    """One of our processes, started again when it was killed, and what it tells in all its lives."""

    def __init__(self, context: ForkServerContext, target: Callable[..., None], *given: object) -> None:
        self._context, self._target, self._given = context, target, given
        self.start_again()

    def start_again(self) -> None:
        """Give it a life; what it told in the one before should have been heard."""
        self._told, sender = self._context.Pipe(duplex=False)
        self._process = self._context.Process(target=self._target, args=(*self._given, sender), daemon=True)
        self._process.start()
        sender.close()

    @property
    def is_alive(self) -> bool:
        """Whether it is still at work."""
        return self._process.is_alive()

    def heard(self) -> list[Any]:
        """Return what it has told since the last time; also what it told before it died."""
        found = []
        try:
            while self._told.poll():
                found.append(self._told.recv())
        except (EOFError, OSError):
            pass
        return found

    def kill(self) -> bool:
        """Kill it, and return whether it was alive."""
        was_alive = self.is_alive
        self._process.kill()
        self._process.join()
        return was_alive


class MortalApi:
    """The product's API as a process, on a port that it keeps."""

    def __init__(self, home: Path) -> None:
        self._home, self._port = home, free_port()
        self.start_again()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    def start_again(self) -> None:
        """Start it, and wait for nothing."""
        environment = {
            **os.environ,
            "VITRINE_HOME": str(self._home),
            "VITRINE_PROFILE": "packaged",
            "VITRINE_API_PORT": str(self._port),
            "VITRINE_REQUESTS_PER_MINUTE": "0",
            "DATABASE_URL": "",
        }
        with (self._home / "api.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "query_api"], env=environment, stdout=log, stderr=log
            )

    def kill(self) -> bool:
        """Kill it, and return whether it was alive."""
        was_alive = self._process.poll() is None
        self._process.kill()
        self._process.wait()
        return was_alive
