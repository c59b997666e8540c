"""Whether an object store holds what was said of it, and is what it should be, whatever happened to it before."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lib.storage.objects import ObjectStore
from tests.prove import storage_work

KEPT = "what was acknowledged is there"
WHOLE = "every file of the store is what its name says, and read-only"
GOES_ON = "staging can be swept, and all can be stored again"
PICTURES = range(3)


@dataclass
class Findings:
    """What is wrong, by property; nothing should be."""

    by_property: dict[str, list[str]] = field(default_factory=lambda: {KEPT: [], WHOLE: [], GOES_ON: []})

    @property
    def all(self) -> list[str]:
        """Everything that is wrong."""
        return [line for lines in self.by_property.values() for line in lines]


def promises(said: Iterable[str]) -> dict[str, str]:
    """Return the last word that was said of each object; a line that was cut short was not said.

    >>> promises(["begin \\n", "loose 0f\\n", "ack 0f\\n", "ack 1"])
    {'0f': 'ack'}
    """
    words = (line.split(" ") for line in said if line.endswith("\n"))
    return {digest.strip(): word for word, digest in words if digest.strip()}


def look(home: Path, promised: Mapping[str, str]) -> Findings:
    """Open the store at ``home`` as a start does, compare it with what was promised, and use it again."""
    found = Findings()
    try:
        store = ObjectStore(home)
        found.by_property[KEPT] += _lost(store, promised)
        found.by_property[WHOLE] += _wrong(home, promised)
        found.by_property[GOES_ON] += _stuck(store, home, promised)
    except OSError as error:
        found.by_property[GOES_ON].append(f"{type(error).__name__}: {error}")
    return found


def _lost(store: ObjectStore, promised: Mapping[str, str]) -> Iterable[str]:
    for digest, word in promised.items():
        places = [store.path(digest), *([store.home / "trash" / digest] if word == "loose" else [])]
        if word in ("ack", "loose") and not any(path.exists() and _is_right(path) for path in places):
            yield f"{digest[:8]} ({word}) is lost"


def _wrong(home: Path, promised: Mapping[str, str]) -> Iterable[str]:
    for path in (*(home / "objects").glob("*/*"), *(home / "trash").glob("*")):
        if promised.get(path.name) != "bad" and not _is_right(path):
            yield f"{path.relative_to(home)} has other bytes"
        if path.stat().st_mode & 0o222:
            yield f"{path.relative_to(home)} can be written"


def _is_right(path: Path) -> bool:
    return hashlib.sha256(path.read_bytes()).hexdigest() == path.name


def _stuck(store: ObjectStore, home: Path, promised: Mapping[str, str]) -> Iterable[str]:
    for digest in (digest for digest, word in promised.items() if word == "bad"):
        store.delete(digest)  # as `vitrine verify --repair` does with what it finds damaged
    store.sweep_staging(older_than_s=-1)
    left = [path.name for path in (home / "staging").iterdir()]
    stored = {store.put(storage_work.picture(number)) for number in PICTURES}
    yield from (f"staging/{name} stays" for name in left)
    yield from _lost(store, dict.fromkeys(stored, "ack"))
