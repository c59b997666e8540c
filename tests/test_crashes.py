"""The short form of ``make prove-crashes``: the works of the store that matter most, some of its calls, five disks."""

import hashlib
from pathlib import Path

import pytest

from tests.prove import full_disks, power_cuts, storage_work, stored, syscalls, traced
from tests.prove.disk_model import Disk, NotModelled
from tests.prove.table import Results
from tests.prove.traced import Call

SEED = 5
SHORT_WORKS = [*storage_work.ALONE, "equal bytes twice", "trashed while it is stored"]
EVERY_CALL = 31  # no multiple of the kinds of harm, so that each kind is among them

needs_strace = pytest.mark.skipif(traced.why_not() is not None, reason=str(traced.why_not()))


@pytest.fixture
def results() -> Results:
    return Results()


@pytest.fixture
def said() -> list[str]:
    return []


@needs_strace
@pytest.mark.parametrize("work", SHORT_WORKS)
def test_a_power_cut_takes_nothing_that_was_acknowledged(work: str, results: Results, said: list[str]) -> None:
    power_cuts.states_of(work, results, said.append)
    assert results.properties
    assert not results.has_failures, said


@needs_strace
def test_a_system_call_that_fails_or_kills_takes_nothing(results: Results, said: list[str]) -> None:
    syscalls.some_calls(results, said.append, every=EVERY_CALL)
    assert len(results.properties) == len(syscalls.HARMS) * 4
    assert not results.has_failures, said


def test_a_full_disk_takes_nothing(results: Results, said: list[str]) -> None:
    full_disks.some_disks(results, 5, SEED, said.append)
    if reasons := [row.not_tried for row in results.properties.values() if row.not_tried]:
        pytest.skip(f"no small disk to fill: {reasons}")
    assert not results.has_failures, said


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    """A disk with an empty folder ``a`` on it, durably."""
    disk = Disk(Path("/disk"))
    disk.apply(Call("mkdir", (b"/disk/a", "0777"), 0, False))
    disk.settle()
    return disk


def a_file(disk: Disk, data: bytes, *, synced: bool) -> None:
    """Have a process write a file of four bytes into the folder."""
    disk.apply(Call("openat", ("AT_FDCWD", b"/disk/a/new", "O_WRONLY|O_CREAT|O_EXCL", "0644"), 3, False))
    disk.apply(Call("write", ("3", data, str(len(data))), len(data), False))
    if synced:
        disk.apply(Call("fsync", ("3",), 0, False))


def contents(disk: Disk) -> set[bytes | None]:
    """Return what the file may hold after a power cut; None: it is not there."""
    found = ({name: data for names, data, _ in state.files for name in names} for state in disk.states())
    return {files.get("a/new") for files in found}


def test_of_a_file_that_was_not_synced_anything_may_be_left(disk: Disk) -> None:
    a_file(disk, b"abcd", synced=False)
    assert contents(disk) == {None, b"", b"ab", b"ab\0\0", b"\0\0\0\0", b"abcd"}


def test_a_synced_file_is_whole_or_has_no_name_yet(disk: Disk) -> None:
    a_file(disk, b"abcd", synced=True)
    assert contents(disk) == {None, b"abcd"}
    disk.apply(Call("openat", ("AT_FDCWD", b"/disk/a", "O_RDONLY"), 4, False))
    disk.apply(Call("fsync", ("4",), 0, False))
    assert contents(disk) == {b"abcd"}


def test_a_rename_between_folders_may_be_half_done(disk: Disk) -> None:
    a_file(disk, b"abcd", synced=True)
    disk.settle()
    disk.apply(Call("rename", (b"/disk/a/new", b"/disk/b"), 0, False))
    names = {frozenset(name for names, _, _ in state.files for name in names) for state in disk.states()}
    assert names == {frozenset(), frozenset({"a/new"}), frozenset({"b"}), frozenset({"a/new", "b"})}


def test_what_the_model_does_not_know_ends_the_proof(disk: Disk) -> None:
    with pytest.raises(NotModelled, match="truncate"):
        disk.apply(Call("truncate", (b"/disk/a", "0"), 0, False))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    storage_work.stored(0)(tmp_path / "home")
    return tmp_path / "home"


def test_the_proof_sees_what_is_lost_and_what_is_half(home: Path) -> None:
    digest = storage_work.name_of(0)
    path = home / "objects" / digest[:2] / digest
    assert stored.look(home, {digest: "ack"}).all == []
    path.unlink()
    path.write_bytes(storage_work.picture(0)[:100])
    found = stored.look(home, {digest: "ack"}).by_property
    assert all(found[name] for name in (stored.KEPT, stored.WHOLE, stored.GOES_ON))


def test_the_pictures_share_a_folder_and_are_different() -> None:
    names = {hashlib.sha256(storage_work.picture(number)).hexdigest() for number in stored.PICTURES}
    assert len(names) == len(stored.PICTURES)
    assert len({name[:2] for name in names}) == 1
