"""What lies in the object store is whole, read-only and named by its content."""

import errno
import fcntl
import hashlib
import os
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lib.errors import ImageTooLarge, InsufficientSpace, ObjectMissing
from lib.storage.objects import ObjectStore


def test_an_object_is_named_by_its_content_and_read_only(objects: ObjectStore) -> None:
    digest = objects.put(b"picture")
    assert digest == hashlib.sha256(b"picture").hexdigest()
    assert objects.read(digest) == b"picture"
    assert objects.path(digest).stat().st_mode & 0o222 == 0


def test_equal_bytes_are_stored_once(objects: ObjectStore) -> None:
    first = objects.path(objects.put(b"same")).stat().st_ino
    assert objects.path(objects.put(b"same")).stat().st_ino == first
    assert list(objects.hashes()) == [hashlib.sha256(b"same").hexdigest()]


def test_nothing_is_left_of_a_file_that_passes_its_cap(objects: ObjectStore) -> None:
    with objects.stage(max_bytes=10) as staged:
        staged.write(b"0123456789")
        with pytest.raises(ImageTooLarge):
            staged.write(b"x")
    assert list((objects.home / "staging").iterdir()) == []
    assert list(objects.hashes()) == []


def test_a_file_that_was_not_published_does_not_show(objects: ObjectStore) -> None:
    with objects.stage(max_bytes=10) as staged:
        staged.write(b"half")
    assert list(objects.hashes()) == []


def test_a_writer_killed_at_any_moment_leaves_whole_objects_only(tmp_path: Path) -> None:
    """Six processes are killed while they publish; every object that shows has the content of its name."""
    script = textwrap.dedent("""
        import os, sys
        from pathlib import Path
        from lib.storage.objects import ObjectStore
        store = ObjectStore(Path(sys.argv[1]))
        print("go", flush=True)
        while True:
            store.put(os.urandom(50_000))
    """)
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) for _ in range(6)
    ]
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.readline()
        writer.kill()
        writer.wait()
        writer.stdout.close()
    store = ObjectStore(tmp_path)
    for digest in store.hashes():
        assert hashlib.sha256(store.read(digest)).hexdigest() == digest
    store.sweep_staging(older_than_s=-1)
    assert list((tmp_path / "staging").iterdir()) == []


def test_the_human_name_is_a_hard_link(objects: ObjectStore) -> None:
    digest = objects.put(b"picture")
    objects.link(digest, "library/site/fox.jpg")
    assert (objects.home / "library/site/fox.jpg").samefile(objects.path(digest))


def test_a_missing_object_is_named(objects: ObjectStore) -> None:
    with pytest.raises(ObjectMissing, match="0" * 64):
        objects.read("0" * 64)


def test_too_little_disk_is_said_in_numbers(objects: ObjectStore) -> None:
    with pytest.raises(InsufficientSpace, match="MB free"):
        objects.require_space(10**18)


def test_who_finds_an_object_there_makes_sure_that_it_stays(
    objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever linked it may not have synced the folders yet, and a power cut would take what we say is stored."""
    digest = objects.put(b"picture")
    synced, fsync = set[int](), os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.add(os.fstat(descriptor).st_ino), fsync(descriptor)))
    assert objects.put(b"picture") == digest
    assert synced == {folder.stat().st_ino for folder in objects.path(digest).parents[:2]}


def test_garbage_goes_unless_it_was_stored_again(objects: ObjectStore) -> None:
    digest = an_old_object(objects)
    objects.put(b"old")
    assert not objects.delete_untouched(digest, untouched_for_s=60)
    os.utime(objects.path(digest), (0, 0))
    assert objects.delete_untouched(digest, untouched_for_s=60)
    assert not objects.delete_untouched(digest, untouched_for_s=60)


def test_who_collects_waits_for_who_stores(objects: ObjectStore) -> None:
    """The moment between the look at an object's age and its end."""
    digest = an_old_object(objects)
    folder = os.open(objects.path(digest).parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_SH)
    with ThreadPoolExecutor(2) as pool:
        ends = [
            pool.submit(objects.delete_untouched, digest, untouched_for_s=60),
            pool.submit(objects.trash, digest, untouched_for_s=60),
        ]
        time.sleep(0.2)
        os.utime(objects.path(digest))
        os.close(folder)
        assert [end.result() for end in ends] == [False, False]
    assert objects.read(digest) == b"old"


def an_old_object(objects: ObjectStore) -> str:
    digest = objects.put(b"old")
    os.utime(objects.path(digest), (0, 0))
    return digest


def test_a_full_disk_is_said_as_such(objects: ObjectStore) -> None:
    with pytest.raises(InsufficientSpace, match="is full"), objects.stage(max_bytes=10):
        raise OSError(errno.ENOSPC, "No space left on device")
