"""One supervisor a home: a lock that the kernel drops when its process dies, so it is never stale."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lib.errors import ConfigurationError
from lib.storage.embedded_guardian import is_locked, open_lock, release, try_lock


@contextmanager
def only_supervisor(home: Path) -> Iterator[None]:
    """Be the one ``vitrine up`` of this home for as long as the block lasts. Raises ConfigurationError."""
    home.mkdir(parents=True, exist_ok=True)
    descriptor = open_lock(_path(home))
    try:
        if not try_lock(descriptor):
            pid = os.pread(descriptor, 20, 0).decode().strip()
            raise ConfigurationError(
                f"another vitrine up (pid {pid}) keeps {home} running: use that one, end it, or choose another home "
                "with VITRINE_HOME"
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        release(descriptor)


def is_supervised(home: Path) -> bool:
    """Return whether a ``vitrine up`` keeps this home running."""
    return _path(home).exists() and is_locked(_path(home))


def _path(home: Path) -> Path:
    return home / "up.lock"
