"""Work on a real object store, done by a small process whose system calls somebody watches, fails or cuts short.

``python -S -m tests.prove.storage_work NAME ROOT`` prepares ``ROOT/0/home``, says ``begin``, and does the work of that
name there; if two are at it, again in ``ROOT/1/home`` and so on, until the second has stepped in before each call of
the first but its writes. Only `lib.storage.objects` is imported: a start takes as long as Python's own.

What is said on the way, one ``WORD SHA256`` a line, is what must hold from then on: ``ack``, the object is in the
store; ``loose``, it is there or in the trash; ``free``, it may be gone; ``bad``, it may have other bytes.
"""

import argparse
import errno
import fcntl
import hashlib
import io
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from lib.errors import InsufficientSpace
from lib.storage.objects import ObjectStore

FAILED_BY_TYPE = 3  # the exit code of work that ended with an error that says what the disk did
PICTURE_BYTES, CHUNK_BYTES = 12_000, 5_000
OLD_S = 7200.0  # what has been there for so long, no row names, and nobody has stored again is garbage
GRACE_S = 3600.0
HANDOVER_S = 0.5  # a writer that waits for the other's lock is let wait so long before the other goes on
INTERRUPTED = (
    "chmod", "close", "fsync", "link", "listdir", "mkdir", "open", "rename", "replace", "scandir", "stat", "unlink",
    "utime",
)  # fmt: skip
Prepare = Callable[[Path], None]  # given the home
Act = Callable[[ObjectStore], None]


@dataclass(frozen=True)
class Work:
    """What is there before, durably; what is then done; and what another process does meanwhile, if there is one."""

    before: Prepare
    act: Act
    meanwhile: Act | None = None


@cache
def picture(number: int) -> bytes:
    """Return the bytes of a made-up picture; all of them are kept in one folder of the store.

    >>> {hashlib.sha256(picture(number)).hexdigest()[0] for number in range(3)}
    {'a'}
    """
    salt = 0
    while not hashlib.sha256(data := _bytes(f"{number} {salt}")).hexdigest().startswith("a5"):
        salt += 1
    return data


def _bytes(seed: str) -> bytes:
    return hashlib.shake_128(seed.encode()).digest(PICTURE_BYTES)


def name_of(number: int) -> str:
    """Return under which name the store keeps a picture."""
    return hashlib.sha256(picture(number)).hexdigest()


def say(word: str, digest: str = "") -> None:
    """Say what holds from now on, in one write."""
    os.write(1, f"{word} {digest}\n".encode())


def nothing(_home: Path) -> None:
    """Start from an empty folder."""


def empty_store(home: Path) -> None:
    """Start from a store without objects."""
    ObjectStore(home)


def stored(*numbers: int, age_s: float = 0.0) -> Prepare:
    """Start from a store that has had these pictures for so long."""

    def store_them(home: Path) -> None:
        store = ObjectStore(home)
        for number in numbers:
            path = store.path(store.put(picture(number)))
            os.utime(path, (time.time() - age_s,) * 2)

    return store_them


def damaged(home: Path) -> None:
    """Start from a store in which a picture has the bytes of another."""
    path = ObjectStore(home).path(name_of(0))
    path.parent.mkdir()
    with path.open("xb") as file:
        file.write(picture(1))
    path.chmod(0o444)
    say("bad", name_of(0))


def loosely_stored(home: Path) -> None:
    """Start from an old picture that no row names."""
    stored(0, age_s=OLD_S)(home)
    say("loose", name_of(0))


def freely_stored(home: Path) -> None:
    """Start from an old picture that no row names, and which may go."""
    stored(0, age_s=OLD_S)(home)
    say("free", name_of(0))


def put(*numbers: int) -> Act:
    """Store pictures that are in memory, and acknowledge each."""

    def put_them(store: ObjectStore) -> None:
        for number in numbers:
            say("ack", store.put(picture(number)))

    return put_them


def publish(number: int) -> Act:
    """Store a picture that comes in pieces."""

    def publish_it(store: ObjectStore) -> None:
        data = picture(number)
        with store.stage(len(data)) as staged:
            for start in range(0, len(data), CHUNK_BYTES):
                staged.write(data[start : start + CHUNK_BYTES])
                staged.flush()
            say("ack", store.publish(staged))

    return publish_it


def take_in(store: ObjectStore) -> None:
    """Store a picture as `lib.storage.intake` does: the working copy, the original, its name among the files."""
    put(0)(store)
    publish(1)(store)
    store.link(name_of(1), "library/site/fox.jpg")


def names(store: ObjectStore) -> None:
    """Name a picture, give its name to another, take the name away."""
    for number in (0, 1):
        store.link(name_of(number), "library/site/fox.jpg")
    store.unlink("library/site/fox.jpg")


def remove_and_store_again(store: ObjectStore) -> None:
    """Remove a picture and store the same bytes again, as a repair does."""
    store.delete(name_of(0))
    say("free", name_of(0))
    put(0)(store)


def remove(store: ObjectStore) -> None:
    """Remove what nobody has stored for an hour."""
    store.delete_untouched(name_of(0), untouched_for_s=GRACE_S)


def trash(store: ObjectStore) -> None:
    """Move what nobody has stored for an hour into the trash."""
    store.trash(name_of(0), untouched_for_s=GRACE_S)


def trash_and_bring_back(store: ObjectStore) -> None:
    """Move a picture into the trash and back."""
    trash(store)
    if store.untrash(name_of(0)):
        say("ack", name_of(0))


def trash_and_empty(store: ObjectStore) -> None:
    """Move a picture into the trash, and empty that."""
    trash(store)
    say("free", name_of(0))
    for path in store.trashed():
        path.unlink()


def everything(store: ObjectStore) -> None:
    """One of each, from the first start on."""
    take_in(store)
    put(2, 0)(store)
    names(store)
    for bring_back_or_remove in (trash_and_bring_back, remove):
        os.utime(store.path(name_of(0)), (0, 0))
        say("loose" if bring_back_or_remove is trash_and_bring_back else "free", name_of(0))
        bring_back_or_remove(store)
    remove_and_store_again(store)
    store.sweep_staging(older_than_s=-1)
    put(1)(store)


ALONE = {
    "a first start": Work(nothing, put(0)),
    "two pictures": Work(empty_store, put(0, 1)),
    "a picture in pieces": Work(empty_store, publish(0)),
    "a picture, its working copy and its name": Work(empty_store, take_in),
    "a picture that is there": Work(stored(0, age_s=OLD_S), put(0)),
    "names": Work(stored(0, 1), names),
    "damaged, removed and stored again": Work(damaged, remove_and_store_again),
    "into the trash and back": Work(loosely_stored, trash_and_bring_back),
    "into the trash and away": Work(loosely_stored, trash_and_empty),
}
TOGETHER = {
    "two first starts": Work(nothing, put(0), put(1)),
    "equal bytes twice": Work(empty_store, publish(0), put(0)),
    "two pictures at once": Work(empty_store, put(0), put(1)),
    "stored while it is trashed": Work(loosely_stored, put(0), trash),
    "trashed while it is stored": Work(loosely_stored, trash, put(0)),
    "stored while it is removed": Work(freely_stored, put(0), remove),
    "removed while it is stored": Work(freely_stored, remove, put(0)),
}
WORKS = {"everything": Work(nothing, everything), **ALONE, **TOGETHER}


@contextmanager
def before_each_call(step_in: Callable[[], None]) -> Iterator[None]:
    """Have a function called before each call that this thread makes of the system, writing and reading left out."""
    own_thread = threading.get_ident()
    modules = [*((os, name) for name in INTERRUPTED), (io, "open"), (fcntl, "flock")]

    def interrupted(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **options: Any) -> Any:
            if threading.get_ident() == own_thread:
                step_in()
            return call(*args, **options)

        return wrapped

    calls = [getattr(module, name) for module, name in modules]
    for (module, name), call in zip(modules, calls, strict=True):
        setattr(module, name, interrupted(call))
    try:
        yield
    finally:
        for (module, name), call in zip(modules, calls, strict=True):
            setattr(module, name, call)


def act_together(first: Callable[[], None], second: Callable[[], None], at: int) -> bool:
    """Run ``first``, and all of ``second`` just before the call ``at`` (from 0) of ``first``, if it makes so many.

    If ``second`` has to wait for ``first``, both go on. Returns whether there was such a call.
    """
    other, calls = threading.Thread(target=second), itertools.count()

    def step_in() -> None:
        if next(calls) == at:
            other.start()
            other.join(HANDOVER_S)

    with before_each_call(step_in):
        first()
    if has_stepped_in := other.ident is not None:
        other.join()
    return has_stepped_in


def run(work: Work, root: Path) -> None:
    """Do a work in new folders below ``root``, as often as it has moments at which another may step in."""
    for at in itertools.count():
        home = root / str(at) / "home"
        home.parent.mkdir(parents=True)
        say("run", str(at))
        work.before(home)
        say("begin")
        if (meanwhile := work.meanwhile) is None:
            _open_and(work.act, home)
            return
        if not act_together(partial(_open_and, work.act, home), partial(_open_and, meanwhile, home), at):
            return


def _open_and(act: Act, home: Path) -> None:
    act(ObjectStore(home))


def main() -> int:
    """Do the work that is named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.prove.storage_work", description=__doc__)
    parser.add_argument("name", choices=WORKS)
    parser.add_argument("root", type=Path)
    wanted = parser.parse_args()
    try:
        run(WORKS[wanted.name], wanted.root)
        say("end")
    except (InsufficientSpace, OSError) as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
        is_named = isinstance(error, InsufficientSpace) or error.errno in (errno.EIO, errno.ENOSPC)
        return FAILED_BY_TYPE if is_named else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
