"""A patched file reads as its bytes with patches over them, from wherever it is read."""

import io
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lib.images.private_metadata.patches import Patch, PatchedFile, open_patched

DATA = bytes(range(1, 101))
PATCHES = (Patch(0, 3, b"abc"), Patch(10, 20, b"head"), Patch(30, 1), Patch(95, 5, b"tail!"))
PATCHED = b"abc" + DATA[3:10] + b"head" + bytes(17) + DATA[31:95] + b"tail!"


@given(st.integers(0, 110), st.integers(0, 110))
def test_any_part_is_that_of_the_whole(start: int, length: int) -> None:
    file = io.BufferedReader(PatchedFile(io.BytesIO(DATA), PATCHES), 7)
    file.seek(start)
    assert file.read(length) == PATCHED[start : start + length]


def test_a_file_on_the_disk_is_read_patched_and_closed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    with open_patched(path, PATCHES) as file:
        assert file.read() == PATCHED
        assert file.seek(-5, io.SEEK_END) == 95
        assert file.read() == b"tail!"
    assert path.read_bytes() == DATA
