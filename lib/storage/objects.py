"""The object store: immutable files named by the SHA-256 of their bytes.

A file goes through these steps, so that a kill or a power cut between any two loses nothing and half of nothing shows:
written to staging while it is hashed and counted, synced, linked to its name, the folders synced. Only then may a row
name it. Who finds a file there syncs the folders too: whoever linked it may not have come to that yet. What a crash
leaves in staging is harmless and swept at start. ``library/`` holds read-only hard links with human names, which are
not synced: a name that a power cut took is one that `vitrine verify --repair` gives again.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from lib.errors import ImageTooLarge, InsufficientSpace, ObjectMissing

STALE_STAGING_S = 3600


class StagedFile:
    """A file being written: hashes as it grows, refuses to pass its byte cap."""

    def __init__(self, path: Path, handle: BinaryIO, max_bytes: int) -> None:
        self.path = path
        self.byte_count = 0
        self._handle = handle
        self._max_bytes = max_bytes
        self._digest = hashlib.sha256()

    def write(self, chunk: bytes) -> None:
        """Append ``chunk``. Raises ImageTooLarge once the cap is passed, before the excess reaches the disk."""
        self.byte_count += len(chunk)
        if self.byte_count > self._max_bytes:
            raise ImageTooLarge("too_many_bytes", f"more than {self._max_bytes} bytes")
        self._digest.update(chunk)
        self._handle.write(chunk)

    @property
    def sha256(self) -> str:
        """Hex digest of what was written so far."""
        return self._digest.hexdigest()

    def flush(self) -> None:
        """Hand what was written to the system, so that another process can read it."""
        self._handle.flush()

    def sync(self) -> None:
        """Put the bytes on the disk. An error here is final: after a failed fsync the page cache cannot be trusted."""
        self._handle.flush()
        os.fsync(self._handle.fileno())


class ObjectStore:
    """Objects under ``home/objects``, human names under ``home/library``."""

    def __init__(self, home: Path) -> None:
        """Make the folders of the store at ``home`` if they are missing."""
        self.home = home
        self._objects = home / "objects"
        self._staging = home / "staging"
        self._trash = home / "trash"
        for folder in (self._objects, self._staging, home / "library"):
            folder.mkdir(parents=True, exist_ok=True)
        _sync_with_parents(home)  # even if nothing was missing: another process may have made it a moment ago

    @contextmanager
    def stage(self, max_bytes: int) -> Iterator[StagedFile]:
        """Yield a new staging file of at most ``max_bytes`` bytes; it is removed at the end, published or not.

        Raises InsufficientSpace when the disk is full, whatever was being written to it.
        """
        path = self._staging / uuid.uuid4().hex
        try:
            with path.open("xb") as handle:
                yield StagedFile(path, handle, max_bytes)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise InsufficientSpace(f"the disk of {self.home} is full: free some space, then try again") from error
        finally:
            path.unlink(missing_ok=True)

    def publish(self, staged: StagedFile) -> str:
        """Give the staged bytes their name and return it, the SHA-256 in hex. Equal bytes are stored once."""
        staged.path.chmod(0o444)
        staged.sync()
        target = self.path(staged.sha256)
        target.parent.mkdir(exist_ok=True)
        while not self.refresh(staged.sha256):
            with suppress(FileExistsError):  # stored by somebody else at this moment
                os.link(staged.path, target)
        return staged.sha256

    def put(self, data: bytes) -> str:
        """Store ``data`` and return its SHA-256 in hex; nothing is written when it is there already."""
        digest = hashlib.sha256(data).hexdigest()
        if self.refresh(digest):
            return digest
        with self.stage(len(data)) as staged:
            staged.write(data)
            return self.publish(staged)

    def refresh(self, sha256: str) -> bool:
        """Make an object as good as new, which the collection of garbage spares; return whether it is there.

        If it is, a power cut does not take it away any more.
        """
        target = self.path(sha256)
        try:
            with _locked(target.parent, fcntl.LOCK_SH) as folder:
                os.utime(target)
                os.fsync(folder)
        except FileNotFoundError:
            return False
        _sync_folder(self._objects)
        return True

    def path(self, sha256: str) -> Path:
        """Return where the object of that hash lies, whether or not it exists."""
        return self._objects / sha256[:2] / sha256

    def read(self, sha256: str) -> bytes:
        """Return an object's bytes. Raises ObjectMissing."""
        try:
            return self.path(sha256).read_bytes()
        except FileNotFoundError as error:
            raise ObjectMissing(f"object {sha256} is not in {self._objects}") from error

    def delete(self, sha256: str) -> None:
        """Remove an object for good; one that is gone already is no error (a deletion that was killed is repeated).

        A power cut does not bring it back: with the wrong bytes, it would stand for the right ones.
        """
        target = self.path(sha256)
        with suppress(FileNotFoundError):
            target.unlink()
            _sync_folder(target.parent)

    def delete_untouched(self, sha256: str, *, untouched_for_s: float) -> bool:
        """Remove an object unless it was stored again meanwhile; return whether it went."""
        target = self.path(sha256)
        with suppress(FileNotFoundError), _locked(target.parent, fcntl.LOCK_EX):
            if target.stat().st_mtime <= time.time() - untouched_for_s:
                target.unlink()
                return True
        return False

    def trash(self, sha256: str, *, untouched_for_s: float) -> bool:
        """Move an object out of the store, from where `untrash` brings it back; return whether it went.

        One that was stored again meanwhile stays: whoever did so is about to write its row.
        """
        self._trash.mkdir(exist_ok=True)
        _sync_folder(self.home)
        target, trashed = self.path(sha256), self._trash / sha256
        with suppress(FileNotFoundError), _locked(target.parent, fcntl.LOCK_EX):
            if target.stat().st_mtime <= time.time() - untouched_for_s:
                trashed.unlink(missing_ok=True)
                # Not renamed: of that, a power cut could leave the second half alone.
                os.link(target, trashed)
                _sync_folder(self._trash)
                target.unlink()
                return True
        return False

    def untrash(self, sha256: str) -> bool:
        """Bring an object back from the trash; return whether it is in the store."""
        target, trashed = self.path(sha256), self._trash / sha256
        target.parent.mkdir(exist_ok=True)
        while not self.refresh(sha256):
            try:
                os.link(trashed, target)
            except FileExistsError:
                continue  # stored by somebody else at this moment
            except FileNotFoundError:
                return False
        trashed.unlink(missing_ok=True)
        return True

    def trashed(self, *, older_than_s: float = 0.0) -> list[Path]:
        """Return what has been in the trash for that long."""
        horizon = time.time() - older_than_s
        found = self._trash.iterdir() if self._trash.exists() else ()
        return sorted(path for path in found if path.stat().st_ctime <= horizon)

    def link(self, sha256: str, img_path: str) -> None:
        """Show an object under its human name (``library/...``); an older link of that name is replaced."""
        target = self.home / img_path
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and target.samefile(self.path(sha256)):
            return
        temporary = self._staging / uuid.uuid4().hex
        os.link(self.path(sha256), temporary)
        temporary.replace(target)

    def unlink(self, img_path: str) -> None:
        """Take a human name away; the object stays."""
        (self.home / img_path).unlink(missing_ok=True)

    def hashes(self) -> Iterator[str]:
        """Yield the hash of every stored object."""
        # Names as plain strings: a Path for each of a hundred thousand files takes seconds.
        for folder in sorted(os.listdir(self._objects)):  # noqa: PTH208
            yield from sorted(os.listdir(self._objects / folder))  # noqa: PTH208

    def sweep_staging(self, *, older_than_s: float = STALE_STAGING_S) -> int:
        """Remove staging files that a dead process left, and return how many; young ones may be in use."""
        horizon, swept = time.time() - older_than_s, 0
        for path in list(self._staging.iterdir()):
            with suppress(FileNotFoundError):  # its owner was done with it at this moment
                if path.stat().st_mtime < horizon:
                    path.unlink()
                    swept += 1
        return swept

    def require_space(self, min_free_bytes: int) -> None:
        """Raise InsufficientSpace when the disk has fewer than ``min_free_bytes`` bytes free."""
        free = shutil.disk_usage(self.home).free
        if free < min_free_bytes:
            raise InsufficientSpace(
                f"{self.home} has {free // 1_000_000} MB free and {min_free_bytes // 1_000_000} MB stay reserved: "
                "free some space, or lower VITRINE_MIN_FREE_BYTES"
            )


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_with_parents(folder: Path) -> None:
    """Sync a folder and those above it, as far as they are on its disk: who made it may have made them."""
    device = folder.stat().st_dev
    for one in (folder, *folder.absolute().parents):
        if one.stat().st_dev != device:
            return
        with suppress(PermissionError):  # we may pass through, not look: we have not made it either
            _sync_folder(one)


@contextmanager
def _locked(folder: Path, operation: int) -> Iterator[int]:
    """Hold a folder of objects, as one who stores there (``LOCK_SH``) or removes (``LOCK_EX``); yields its descriptor.

    An object that was found old stays so until it is gone, and one that was made new stays where it is.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, operation)
        yield descriptor
    finally:
        os.close(descriptor)
