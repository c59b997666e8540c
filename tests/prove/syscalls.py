"""Each system call of the object store fails, or is the last that its process makes.

One process does one of each thing that a store can do (`storage_work.everything`). It is run once to learn which calls
it makes, then once for each of them and each harm, which strace inflicts: EIO, ENOSPC, or a kill before the call.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.prove import storage_work, stored, traced
from tests.prove.table import Results

Say = Callable[[str], None]
HARMS = {"EIO": "error=EIO", "ENOSPC": "error=ENOSPC", "kill": "signal=KILL"}
WORK = "everything"
ENDS = "it goes on where that is harmless, or ends by the disk's error"
# Calls about memory and about what a process knows already: they reach no disk.
NOT_OF_THE_STORE = {"mmap", "munmap", "execve", "exit_group"}
# A failure of these is a loss if nobody is told. Of fsync's nothing shows but after a power cut.
TOLD = {"fsync", "link", "rename", "write"}
KILLED = -9


@dataclass(frozen=True)
class Harm:
    """What is done to which call: the ``number``-th of that name that the process makes, from 1."""

    name: str
    call: str
    number: int

    @property
    def injection(self) -> str:
        """As strace takes it."""
        return f"{self.call}:{HARMS[self.name]}:when={self.number}"


def every_call(results: Results, _tries: int, _seed: int, say: Say) -> None:
    """Harm each call in each way; there is nothing random in it."""
    some_calls(results, say, every=1)


def some_calls(results: Results, say: Say, *, every: int) -> None:
    """Harm one of ``every`` calls in each way."""
    if reason := traced.why_not():
        results.not_tried(f"system calls: {stored.KEPT}", reason)
        return
    with tempfile.TemporaryDirectory() as folder:
        harms = list(_harms(Path(folder)))[::every]
        say(f"{len(harms)} harms to {len({harm.call for harm in harms})} system calls")
        for harm in harms:
            _try(harm, Path(folder), results, say)


def _harms(folder: Path) -> Iterator[Harm]:
    """Yield every harm to each call that the work makes after it has begun."""
    for _ in range(2):  # the first run may write Python's own caches, and so make other calls
        undisturbed = _do(folder)
        if undisturbed.code:
            raise RuntimeError(f"{WORK} ended with {undisturbed.code}: {undisturbed.complained}")
    numbers, has_begun = Counter[str](), False
    for call in undisturbed.calls:
        numbers[call.name] += 1
        if has_begun and call.name not in NOT_OF_THE_STORE:
            yield from (Harm(name, call.name, numbers[call.name]) for name in HARMS)
        has_begun = has_begun or call.arguments[:2] == ("1", b"begin \n")


def _do(folder: Path, harm: Harm | None = None) -> traced.Traced:
    shutil.rmtree(folder / "root", ignore_errors=True)
    words, log = ["tests.prove.storage_work", WORK, str(folder / "root")], folder / "calls"
    if harm is None:
        return traced.run(words, log)
    return traced.run(words, log, watched=harm.call, inject=harm.injection)


def _try(harm: Harm, folder: Path, results: Results, say: Say) -> None:
    done = _do(folder, harm)
    wrong = list(_unexpected(harm, done))
    results.count(f"system calls, {harm.name}: {ENDS}", failed=bool(wrong))
    found = stored.look(folder / "root" / "0" / "home", stored.promises(done.said.splitlines(keepends=True)))
    for what, lines in found.by_property.items():
        results.count(f"system calls, {harm.name}: {what}", failed=bool(lines))
    for line in (*wrong, *found.all):
        say(f"{harm.injection}: {line}")


def _unexpected(harm: Harm, done: traced.Traced) -> Iterable[str]:
    """Say what is wrong with how a process ended; that nothing was inflicted on it is a fault of this proof."""
    if "begin" not in done.said:
        yield "harmed before it began"
    if harm.name == "kill":
        if done.code != KILLED:
            yield f"ended with {done.code}, not killed"
    elif not any(call.is_injected for call in done.calls):
        yield "not inflicted"
    elif done.code not in (0, storage_work.FAILED_BY_TYPE):
        yield f"ended with {done.code}: {done.complained[-400:]}"
    elif done.code == 0 and harm.call in TOLD:
        yield "went on as if nothing had failed"
