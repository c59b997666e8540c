"""What a power cut may leave of a folder, by the system calls that were made below it.

The model is that of ALICE (Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014), at the strict end of
what POSIX allows, which no one file system needs:

* the bytes and the mode of a file are on the disk after fsync of that file. Before, it may be empty, end after any of
  its writes or half way, have its full length with zeros in it, or be whole; the mode may be the older one;
* an entry of a folder (a new file or folder, a link, a removal) is on the disk after fsync of that folder, and only
  that. Before, each may have happened or not, whatever happened to the others, of the same folder or of another;
* a rename within a folder happens or does not; between two folders the new name and the end of the old one are two
  changes, either of which may be lost.

All combinations are enumerated. Times are not modelled: they only say how long what no row names is spared.
"""

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from tests.prove.traced import Call

MOST_STATES = 100_000  # at one moment; work that allows more is to be made smaller
LOOKS = {
    "access", "execve", "faccessat", "faccessat2", "fadvise64", "fcntl", "flock", "fstat", "fstatfs", "getdents64",
    "ioctl", "lseek", "lstat", "mmap", "newfstatat", "pread64", "read", "readlink", "readlinkat", "stat", "statfs",
    "statx", "utimensat",
}  # fmt: skip
ON_PATHS = {  # some machines have only the later form of a call
    "chmod": "chmod", "fchmodat": "chmod", "link": "link", "linkat": "link", "mkdir": "mkdir", "mkdirat": "mkdir",
    "rename": "rename", "renameat": "rename", "renameat2": "rename", "unlink": "unlink", "unlinkat": "unlink",
}  # fmt: skip
BEYOND = ("AT_REMOVEDIR", "RENAME_", "F_DUPFD", "MAP_SHARED", "O_APPEND", "O_TRUNC", "SEEK_SET", "SEEK_END")


class NotModelled(Exception):
    """A call below the folder of which the model does not know what it does."""


@dataclass(eq=False)
class File:
    """A file, as the processes see it and as far as it is on the disk."""

    data: bytes = b""
    mode: int = 0o644
    versions: list[bytes] = field(default_factory=list)  # what it was after each write since the last fsync
    durable: bytes = b""
    durable_mode: int = 0o644

    def write(self, data: bytes) -> None:
        """Append."""
        self.data += data
        self.versions.append(self.data)

    def sync(self) -> None:
        """Put bytes and mode on the disk."""
        self.durable, self.durable_mode, self.versions = self.data, self.mode, []

    def outcomes(self) -> list[tuple[bytes, int]]:
        """Return each content and mode that the disk may have."""
        contents = [self.durable]
        if self.versions:
            whole, known = self.data, len(self.durable)
            half = (known + len(whole)) // 2
            zeros = self.durable + bytes(len(whole) - known)
            contents += [whole[:half], whole[:half] + bytes(len(whole) - half), zeros, *self.versions]
        modes = {self.durable_mode, self.mode}
        return list(itertools.product(dict.fromkeys(contents), sorted(modes)))


@dataclass(eq=False)
class Folder:
    """A folder; ``changes`` since its last fsync, each of which sets some of its names at once (None: removed)."""

    entries: "Entries" = field(default_factory=dict)
    durable: "Entries" = field(default_factory=dict)
    changes: "list[Mapping[str, Node | None]]" = field(default_factory=list)

    def change(self, change: "Mapping[str, Node | None]") -> None:
        """Set and remove names, in one step."""
        self.changes.append(change)
        self.entries = _changed(self.entries, change)

    def sync(self) -> None:
        """Put the entries on the disk."""
        self.durable, self.changes = self.entries, []

    def outcomes(self) -> "list[Entries]":
        """Return all entries that the disk may have: every subset of the changes, in their order."""
        found: dict[frozenset[tuple[str, Node]], Entries] = {}
        for chosen in itertools.product((False, True), repeat=len(self.changes)):
            entries = self.durable
            for change in itertools.compress(self.changes, chosen):
                entries = _changed(entries, change)
            found[frozenset(entries.items())] = entries
        return list(found.values())


Node: TypeAlias = File | Folder
Entries: TypeAlias = dict[str, Node]


def _changed(entries: Entries, change: Mapping[str, Node | None]) -> Entries:
    after = {**entries, **change}
    return {name: node for name, node in after.items() if node is not None}


@dataclass(frozen=True)
class State:
    """What a power cut leaves: the folders, and of each file its names, its bytes and its mode."""

    folders: frozenset[str]
    files: frozenset[tuple[frozenset[str], bytes, int]]

    def make(self, root: Path) -> None:
        """Make it real below the empty folder ``root``."""
        for folder in sorted(self.folders):  # a folder before what is in it
            (root / folder).mkdir()
        for names, data, mode in self.files:
            first, *others = sorted(names)
            (root / first).write_bytes(data)
            (root / first).chmod(mode)
            for name in others:
                (root / name).hardlink_to(root / first)


class Disk:
    """The folder ``root`` on a disk, empty at first."""

    def __init__(self, root: Path) -> None:
        """Watch what happens below ``root``."""
        self._root_path = PurePosixPath(root)
        self._root = Folder()
        self._open: dict[int, Node] = {}

    def settle(self) -> None:
        """Put everything on the disk."""
        nodes: list[Node] = [self._root]
        while nodes:
            node = nodes.pop()
            node.sync()
            if isinstance(node, Folder):
                nodes += node.entries.values()

    def apply(self, call: Call) -> None:
        """Do what a call did. Raises NotModelled."""
        node = self._open.get(_number(call.arguments[0]))
        is_ours = node is not None or any(map(self._is_below, call.arguments))
        if call.name == "close":  # closed even if it says that it failed
            self._open.pop(_number(call.arguments[0]), None)
        elif call.name in ("openat", "open") and call.result >= 0:
            self._open.pop(call.result, None)
        if not is_ours or call.result < 0 or call.name == "close":
            return
        if any(word in str(argument) for word in BEYOND for argument in call.arguments if isinstance(argument, str)):
            raise NotModelled(f"{call.name}{call.arguments}")
        if call.name in ("openat", "open"):
            self._opened(call)
        elif call.name in LOOKS:
            return
        elif node is not None:
            _on_descriptor(node, call)
        else:
            self._on_paths(call)

    def _opened(self, call: Call) -> None:
        (path,) = (argument for argument in call.arguments if isinstance(argument, bytes))
        folder, name = self._place(path)
        node = folder.entries.get(name) if name else self._root
        if node is None:
            node = File()
            folder.change({name: node})
        elif "O_RDONLY" not in str(call.arguments):
            raise NotModelled(f"an open file is written again: {call.arguments}")
        self._open[call.result] = node

    def _on_paths(self, call: Call) -> None:
        paths = [self._place(argument) for argument in call.arguments if isinstance(argument, bytes)]
        folder, name = paths[0]
        what = ON_PATHS.get(call.name)
        if what == "mkdir":
            folder.change({name: Folder()})
        elif what == "chmod":
            node = folder.entries[name]
            if isinstance(node, File):
                node.mode = int(next(word for word in call.arguments if isinstance(word, str) and word.isdigit()), 8)
        elif what == "unlink":
            folder.change({name: None})
        elif what == "link":
            paths[1][0].change({paths[1][1]: folder.entries[name]})
        elif what == "rename":
            _rename(*paths[0], *paths[1])
        else:
            raise NotModelled(f"{call.name}{call.arguments}")

    def _is_below(self, argument: str | bytes) -> bool:
        return isinstance(argument, bytes) and PurePosixPath(os.fsdecode(argument)).is_relative_to(self._root_path)

    def _place(self, argument: str | bytes) -> tuple[Folder, str]:
        """Return the folder that a path below the root is in, and its name there; the root itself has none."""
        *parents, name = PurePosixPath(os.fsdecode(argument)).relative_to(self._root_path).parts or ("",)
        node: Node = self._root
        for parent in parents:
            if isinstance(node, File):
                raise NotModelled(f"{argument!r} is below a file")
            node = node.entries[parent]
        if isinstance(node, File):
            raise NotModelled(f"{argument!r} is below a file")
        return node, name

    def states(self) -> Iterator[State]:
        """Yield every state that a power cut now may leave, some more than once."""
        for count, state in enumerate(_trees(self._root)):
            if count > MOST_STATES:
                raise NotModelled(f"more than {MOST_STATES} states at one moment")
            yield state


def _on_descriptor(node: Node, call: Call) -> None:
    if call.name == "fsync":
        node.sync()
    elif call.name == "write" and isinstance(node, File):
        data = call.arguments[1]
        if not isinstance(data, bytes):
            raise NotModelled(f"write of {data}")
        node.write(data[: call.result])
    else:
        raise NotModelled(f"{call.name} of a file below the folder")


def _rename(source: Folder, old: str, target: Folder, new: str) -> None:
    node = source.entries[old]
    if target.entries.get(new) is node:
        return  # two names of one file: rename does nothing
    if source is target:
        source.change({new: node, old: None})
    else:
        target.change({new: node})
        source.change({old: None})


def _number(argument: str | bytes) -> int:
    return int(argument) if isinstance(argument, str) and argument.isdigit() else -1


def _trees(root: Folder) -> Iterator[State]:
    """Yield all outcomes: those of each folder that can be reached, with those of each file that then can be."""
    for tree in _folder_choices([("", root)], {}):
        names: dict[File, set[str]] = {}
        folders = set()
        for path, entries in tree.items():
            for name, node in entries.items():
                if isinstance(node, File):
                    names.setdefault(node, set()).add(path + name)
                else:
                    folders.add(path + name)
        for outcomes in itertools.product(*(file.outcomes() for file in names)):
            files = ((frozenset(paths), *outcome) for paths, outcome in zip(names.values(), outcomes, strict=True))
            yield State(frozenset(folders), frozenset(files))


def _folder_choices(waiting: Sequence[tuple[str, Folder]], chosen: dict[str, Entries]) -> Iterator[dict[str, Entries]]:
    """Yield each choice of entries for the folders that wait and for all that are found in them, by path."""
    if not waiting:
        yield chosen
        return
    (path, folder), *rest = waiting
    for entries in folder.outcomes():
        found = [(f"{path}{name}/", node) for name, node in entries.items() if isinstance(node, Folder)]
        yield from _folder_choices([*rest, *found], {**chosen, path: entries})
