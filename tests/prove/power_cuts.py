"""Power cuts: every state of the disk that one may leave while the object store works, each made real and started from.

Start reading here. The works are in storage_work.py: a small process does them while strace writes down its calls.
After each call the power may go: disk_model.py says what then may be on the disk, and stored.py looks whether the store
that is opened there holds what had been acknowledged by that call.
"""

import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.prove import storage_work, stored, traced
from tests.prove.disk_model import Disk, State
from tests.prove.table import Results
from tests.prove.traced import Call

Say = Callable[[str], None]
Moment = tuple[State, frozenset[tuple[str, str]]]  # what is on the disk, and what was promised by then
TITLE = "power-cut states"
STAGED = re.compile(rb"/staging/[0-9a-f]{32}")
MOST_TOLD = 5


def every_state(results: Results, _tries: int, _seed: int, say: Say) -> None:
    """Enumerate the states of every work, and start from each; there is nothing random in it."""
    if reason := traced.why_not():
        results.not_tried(f"{TITLE}: {stored.KEPT}", reason)
        return
    for name in (*storage_work.ALONE, *storage_work.TOGETHER):
        states_of(name, results, say)


def states_of(name: str, results: Results, say: Say) -> None:
    """Enumerate the states of one work, and start from each."""
    with _fast_folder() as folder:
        moments = set(moments_of(name, folder))
        wrong = []
        for state, promised in moments:
            found = _start_from(state, dict(promised), folder / "state")
            for what, lines in found.by_property.items():
                results.count(f"{TITLE}: {what}", failed=bool(lines))
            wrong += found.all
    say(f"{name}: {len(moments):,} states" + "".join(f"; {line}" for line in sorted(set(wrong))[:MOST_TOLD]))


@contextmanager
def _fast_folder() -> Iterator[Path]:
    """Yield a folder in memory where there is one: what a power cut leaves is computed, not waited for."""
    memory = Path("/dev/shm")  # noqa: S108  a folder of ours is made in it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


def moments_of(name: str, folder: Path) -> Iterator[Moment]:
    """Do a work below ``folder``; yield every state that a power cut after any of its calls may leave."""
    recorded = traced.run(["tests.prove.storage_work", name, str(folder / "disk")], folder / "calls")
    if recorded.code:
        raise RuntimeError(f"{name} ended with {recorded.code}: {recorded.complained}")
    for root, calls in _runs(recorded.calls, folder / "disk"):
        yield from _moments_of_run(root, calls)


def _runs(calls: Iterable[Call], root: Path) -> Iterator[tuple[Path, list[Call]]]:
    """Split what was recorded at each new start in a folder of its own; yield that folder, and the calls."""
    runs: list[tuple[Path, list[Call]]] = []
    for call in calls:
        if (said := _said(call)).startswith("run "):
            runs.append((root / said.split()[1], []))
        elif runs:
            runs[-1][1].append(call)
    yield from runs


def _moments_of_run(root: Path, calls: Iterable[Call]) -> Iterator[Moment]:
    disk, said, has_begun, staged = Disk(root), list[str](), False, dict[bytes, bytes]()
    for call in calls:
        disk.apply(_numbered(call, staged))
        said.append(_said(call))
        if said[-1].startswith("begin"):
            disk.settle()
            has_begun = True
        if has_begun:
            promised = frozenset(stored.promises(said).items())
            yield from ((state, promised) for state in disk.states())


def _numbered(call: Call, names: dict[bytes, bytes]) -> Call:
    """Return a call with the random names of staging files numbered, so that equal states are counted once."""

    def number(found: re.Match[bytes]) -> bytes:
        return names.setdefault(found[0], b"/staging/%d" % len(names))

    arguments = (STAGED.sub(number, word) if isinstance(word, bytes) else word for word in call.arguments)
    return replace(call, arguments=tuple(arguments))


def _said(call: Call) -> str:
    text = call.arguments[1] if call.name == "write" and call.arguments[0] == "1" else b""
    return text.decode() if isinstance(text, bytes) else ""


def _start_from(state: State, promised: dict[str, str], root: Path) -> stored.Findings:
    root.mkdir()
    try:
        state.make(root)
        return stored.look(root / "home", promised)
    finally:
        shutil.rmtree(root)
