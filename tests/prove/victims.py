"""The processes of one library, by their part in it, as the operating system shows them.

A process belongs to a library when its environment says so; PostgreSQL, whose environment is its own, is found by its
pid file.
"""

import os
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil

WHOLE_POSTGRES = "Postgres and its backends"
VICTIMS = ("run", "code server", "daemon", "webserver", "API", "Chromium", "Postgres")
TREE = "the whole tree"


def processes_of(home: Path) -> list[psutil.Process]:
    """Return every live process that works on the library at ``home``, its database server included."""
    return [process for process in psutil.process_iter() if _belongs(process, home)] + _postgres(home)


def find(home: Path, victim: str) -> list[psutil.Process]:
    """Return the processes that play this part now; none if nobody does."""
    if victim == "Postgres":
        return _postgres(home)
    if victim == WHOLE_POSTGRES:
        return [one for postmaster in _postgres(home) for one in (postmaster, *postmaster.children(recursive=True))]
    if victim == TREE:
        return processes_of(home)
    part = PARTS[victim]
    return [process for process in processes_of(home) if _plays(process, part)]


def kill(home: Path, victim: str, choice: random.Random) -> list[str]:
    """Kill -9 one process of that part (of the tree, or of a whole server: all) and return what was killed.

    Nothing, if nobody plays it.
    """
    found = find(home, victim)
    doomed = found if victim in (TREE, WHOLE_POSTGRES) or not found else [choice.choice(found)]
    return [described for process in doomed if (described := _kill(process))]


def _kill(process: psutil.Process) -> str | None:
    try:
        described = f"{process.pid} {' '.join(process.cmdline())[:90]}"
        process.send_signal(signal.SIGKILL)
    except psutil.Error:
        return None
    return described


def _is_run(words: Sequence[str]) -> bool:
    return "orchestration.execute" in words or any("spawn_main" in word for word in words)


def _is_code_server(words: Sequence[str]) -> bool:
    return "code-server" in words or ("dagster" in words and "grpc" in words)


def _is_chromium(words: Sequence[str]) -> bool:
    return any("chrom" in Path(word).name for word in words[:1]) and "zygote" not in " ".join(words)


PARTS: dict[str, Callable[[Sequence[str]], bool]] = {
    "run": _is_run,
    "code server": _is_code_server,
    "daemon": lambda words: "dagster._daemon" in words,
    "webserver": lambda words: "dagster_webserver" in words,
    "API": lambda words: "query_api" in words,
    "Chromium": _is_chromium,
}


def _plays(process: psutil.Process, part: Callable[[Sequence[str]], bool]) -> bool:
    try:
        return part(process.cmdline())
    except psutil.Error:
        return False


def _belongs(process: psutil.Process, home: Path) -> bool:
    if process.pid == os.getpid():
        return False
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.environ().get("VITRINE_HOME") == str(home)
    except psutil.Error:
        return False


def _postgres(home: Path) -> list[psutil.Process]:
    return list(_postmaster(home))


def _postmaster(home: Path) -> Iterator[psutil.Process]:
    try:
        pid = int((home / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0])
        process = psutil.Process(pid)
        if process.name() == "postgres" and process.status() != psutil.STATUS_ZOMBIE:
            yield process
    except (OSError, ValueError, IndexError, psutil.Error):
        return
