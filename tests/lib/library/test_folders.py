"""Files on this machine become part of the library as pictures of a site do."""

import os
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from lib.errors import AlreadyExists, StorageError
from lib.images.decoding import Decoder
from lib.library.folders import FolderReport, add_files, picture_files
from lib.scraping.site import Site
from lib.storage import clearing, images, sources
from lib.storage.deletion import delete_image, delete_source
from lib.storage.image_filters import ImageFilter
from lib.storage.library import Library
from lib.storage.tables import ImageUrl
from tests.lib.library.conftest import Write


def add(library: Library, decoder: Decoder, root: Path, name: str = "mine") -> FolderReport:
    return add_files(library, root, picture_files(root), name=name, decoder=decoder)


def names(library: Library, **wanted: str) -> list[str]:
    with library.database.session() as session:
        found = images.list_images(session, after_id=None, limit=50, wanted=ImageFilter(**wanted))
    return sorted(image.img_path for image in found)


def test_a_folder_is_a_source_and_its_pictures_are_seen_in_it(
    library: Library, decoder: Decoder, folder: Path, write: Write
) -> None:
    write("owl.png", "brown")
    write("sub/Snowy_owl-2.png", "white")
    assert add(library, decoder, folder).new == 2
    assert names(library, source="mine") == ["library/mine/Snowy_owl-2.png", "library/mine/owl.png"]
    assert names(library, alt="snowy owl 2") == ["library/mine/Snowy_owl-2.png"]
    with library.database.session() as session:
        (first, _) = images.list_images(session, after_id=None, limit=2)
        (sighting,) = images.sightings_of(session, first.id)
        source = sources.source_by_name(session, "mine")
    assert sighting.page_url == f"file://localhost{folder.as_posix().replace(' ', '%20')}/sub/"
    assert Site.model_validate(source.rules).is_folder
    assert not source.enabled
    assert (library.objects.home / "library/mine/owl.png").read_bytes() == (folder / "owl.png").read_bytes()


def test_a_second_time_nothing_is_read(
    library: Library, decoder: Decoder, folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("a.png", "red")
    write("b.png", "blue")
    add(library, decoder, folder)
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("a file was read"))
    assert vars(add(library, decoder, folder)) == vars(FolderReport(unchanged=2))


def test_only_what_changed_is_read_again(library: Library, decoder: Decoder, folder: Path, write: Write) -> None:
    write("a.png", "red")
    write("b.png", "blue")
    add(library, decoder, folder)
    write("b.png", "green", (41, 30))
    write("c.png", "red")  # the picture of a.png under another name
    report = add(library, decoder, folder)
    assert (report.new, report.known, report.unchanged) == (1, 1, 1)
    assert len(names(library)) == 3


def test_what_was_cleared_comes_back_when_its_folder_is_added_again(
    library: Library, decoder: Decoder, folder: Path, write: Write
) -> None:
    write("a.png")
    add(library, decoder, folder)
    with library.database.session() as session:
        clearing.clear(session, restore_days=1)
        session.commit()
    assert names(library) == []
    assert add(library, decoder, folder).new == 1
    assert names(library, source="mine") == ["library/mine/a.png"]


def test_a_source_counts_the_pictures_that_are_there(
    library: Library, decoder: Decoder, folder: Path, write: Write
) -> None:
    write("a.png", "red")
    write("b.png", "blue")
    add(library, decoder, folder)
    with library.database.session() as session:
        source = sources.source_by_name(session, "mine")
        assert sources.count_images_of(session, source.id) == 2
        (first, _) = images.list_images(session, after_id=None, limit=2)
        delete_image(session, first.id, restore_days=7)
        assert sources.count_images_of(session, source.id) == 1


def test_what_went_with_its_source_comes_back_when_its_folder_is_added_again(
    library: Library, decoder: Decoder, folder: Path, write: Write
) -> None:
    write("a.png", "red")
    add(library, decoder, folder)
    with library.database.session() as session:
        assert delete_source(session, "mine", restore_days=7) == 1
        session.commit()
    assert names(library) == []
    assert add(library, decoder, folder).new == 1
    assert names(library) == ["library/mine/a.png"]


def test_a_file_that_is_no_picture_has_its_reason_in_a_row(
    library: Library, decoder: Decoder, folder: Path, write: Write
) -> None:
    write("good.png")
    (folder / "page.jpg").write_text("<!doctype html><title>not found</title>")
    (folder / "half.png").write_bytes(write("whole.png", "blue", (300, 300)).read_bytes()[:200])
    report = add(library, decoder, folder)
    assert (report.new, report.refused, report.by_reason["not_an_image"]) == (2, 2, 1)
    with library.database.session() as session:
        rows = dict(session.execute(sa.select(ImageUrl.url, ImageUrl.status)).all())
    assert {url.rpartition("/")[2]: status for url, status in rows.items()} == {
        "good.png": "ok", "whole.png": "ok", "page.jpg": "refused", "half.png": "refused"
    }  # fmt: skip


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_stops_nothing(
    library: Library, decoder: Decoder, folder: Path, write: Write
) -> None:
    write("a.png").chmod(0)
    write("b.png", "blue")
    report = add(library, decoder, folder)
    assert (report.new, report.by_reason["unreadable"]) == (1, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="reads a file of Linux that cannot be read from its beginning")
def test_a_file_whose_disk_fails_stops_nothing(library: Library, decoder: Decoder, folder: Path, write: Write) -> None:
    (folder / "a.png").symlink_to("/proc/self/mem")  # EIO
    write("b.png", "blue")
    report = add(library, decoder, folder)
    assert (report.new, report.by_reason["unreadable"]) == (1, 1)


def test_a_library_whose_disk_fails_is_not_taken_for_an_unreadable_file(
    library: Library, decoder: Decoder, folder: Path, write: Write
) -> None:
    write("a.png")
    assert add(library, decoder, folder).new == 1
    write("b.png", "blue")
    objects = library.objects.home / "objects"
    objects.rename(aside := objects.with_name("aside"))
    objects.write_bytes(b"no folder")
    with pytest.raises(StorageError, match=r"takes no more files \(Not a directory\): see to its disk"):
        add(library, decoder, folder)
    objects.unlink()
    aside.rename(objects)
    assert add(library, decoder, folder).new == 1
    assert names(library) == ["library/mine/a.png", "library/mine/b.png"]


def test_a_name_that_is_no_text_is_taken_all_the_same(library: Library, decoder: Decoder, folder: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    sample = folder / "a.png"
    from PIL import Image as PillowImage

    PillowImage.new("RGB", (40, 30), "red").save(sample)
    sample.rename(folder / name)
    assert add(library, decoder, folder).new == 1
    assert add(library, decoder, folder).unchanged == 1


def test_hidden_files_and_links_to_folders_are_left_alone(folder: Path, write: Write, tmp_path: Path) -> None:
    write("a.png")
    write(".thumbnails/b.png")
    write(".c.png")
    (folder / "notes.txt").write_text("nothing to see")
    (folder / "loop").symlink_to(folder)
    assert [path.name for path in picture_files(folder)] == ["a.png"]


def test_one_file_alone_leaves_its_neighbours_where_they_were(
    library: Library, decoder: Decoder, folder: Path, write: Write
) -> None:
    write("a.png", "red")
    add(library, decoder, folder)
    alone = write("b.png", "blue")
    assert add_files(library, alone, [alone], name="mine", decoder=decoder).new == 1
    with library.database.session() as session:
        source = sources.source_by_name(session, "mine")
        page = sources.known_page(session, source.id, Site.model_validate(source.rules).start_urls[0])
        assert page is not None
        shown = sources.images_on_page(session, page.id)
    assert sorted(url.rpartition("/")[2] for url in shown) == ["a.png", "b.png"]


def test_two_folders_cannot_be_one_source(library: Library, decoder: Decoder, folder: Path, write: Write) -> None:
    write("a.png")
    write("sub/b.png", "blue")
    add(library, decoder, folder)
    with pytest.raises(AlreadyExists, match="--name"):
        add(library, decoder, folder / "sub")
