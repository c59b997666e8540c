"""A restore drill: what comes back is what was there, row by row and file by file, and answers the same."""

import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from lib.arrays import FloatArray
from lib.errors import AlreadyExists, Busy, NotFound, ObjectMissing
from lib.library.backup import BackupUnreadable, back_up, restore
from lib.library.garbage import objects_kept
from lib.models.registry import model_spec
from lib.settings import Settings
from lib.storage.database import Database
from lib.storage.declarative import Base
from lib.storage.embeddings import put_embedding
from lib.storage.library import Library
from lib.storage.neighbors import nearest
from lib.storage.objects import ObjectStore
from lib.storage.tables import Image
from tests.conftest import AddImage
from tests.lib.library.test_verification import cut_out, harm

LOOK = model_spec("resnet", "packaged")


@pytest.fixture
def new_home(server_url: str, tmp_path: Path) -> Iterator[Settings]:
    """Settings of a library that is not there yet: a new folder, an empty database."""
    url = sa.make_url(server_url).set(database="restored")
    admin = sa.create_engine(server_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with admin.connect() as connection:
        connection.execute(sa.text("DROP DATABASE IF EXISTS restored WITH (FORCE)"))
        connection.execute(sa.text("CREATE DATABASE restored"))
    yield Settings(home=tmp_path / "new", DATABASE_URL=url.render_as_string(hide_password=False))
    with admin.connect() as connection:
        connection.execute(sa.text("DROP DATABASE restored WITH (FORCE)"))


@pytest.fixture
def full(library: Library, add_image: AddImage) -> Library:
    """A library with images, a cut-out, vectors."""
    for number, color in enumerate(("red", "green", "blue")):
        image = add_image(color)
        with library.database.session() as session:
            put_embedding(session, "resnet", image.id, LOOK.spec_id, at_angle(20 * number))
            session.commit()
    cut_out(library, image)
    return library


def at_angle(degrees: float) -> FloatArray:
    """Return a unit vector that stands at an angle to the first axis."""
    vector = np.zeros(LOOK.dimension or 0)
    vector[:2] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return vector


def rows(url: str) -> dict[str, list[str]]:
    """Return every row of every table as PostgreSQL writes it."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        names = [table.name for table in Base.metadata.sorted_tables]
        return {name: list(connection.scalars(sa.text(f"SELECT t::text FROM {name} t ORDER BY 1"))) for name in names}


def files(home: Path) -> dict[str, bytes]:
    found = (path for name in ("objects", "library") for path in (home / name).rglob("*") if path.is_file())
    return {str(path.relative_to(home)): path.read_bytes() for path in found}


def answers(url: str) -> list[tuple[int, float]]:
    database = Database(url)
    with database.session() as session:
        found = nearest(session, "resnet", at_angle(0), spec_id=LOOK.spec_id, k=3)
    database.dispose()
    return [(one.image_id, one.distance) for one in found]


@pytest.mark.parametrize("form", ["folder", "file.tar"])
def test_what_comes_back_is_what_was_there(full: Library, new_home: Settings, tmp_path: Path, form: str) -> None:
    made = back_up(full, tmp_path / form)
    assert (made.images, made.objects) == (3, len(list(full.objects.hashes())))
    assert restore(new_home, tmp_path / form) == made
    url = full.urls.library
    assert new_home.database_url is not None
    restored = new_home.database_url.get_secret_value()
    assert rows(restored) == rows(url)
    assert len(rows(url)["images"]) == 3
    assert files(new_home.home_path) == files(full.objects.home)
    assert answers(restored) == answers(url)
    assert [image_id for image_id, _ in answers(url)] == [1, 2, 3]


def test_a_restored_library_is_built_like_a_new_one(full: Library, new_home: Settings, tmp_path: Path) -> None:
    back_up(full, tmp_path / "b")
    restore(new_home, tmp_path / "b")
    indexes = sa.text("SELECT tablename, indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2")
    triggers = sa.text("SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2")
    assert new_home.database_url is not None
    built = []
    for url in (full.urls.library, new_home.database_url.get_secret_value()):
        with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
            built.append([connection.execute(query).all() for query in (indexes, triggers)])
    assert built[0] == built[1]
    assert all(built[0])


def test_a_second_backup_into_a_folder_copies_only_what_is_new(
    full: Library, add_image: AddImage, new_home: Settings, tmp_path: Path
) -> None:
    back_up(full, tmp_path / "b")
    before = {path: path.stat().st_ino for path in (tmp_path / "b" / "objects").glob("*/*")}
    add_image("yellow")
    assert back_up(full, tmp_path / "b").images == 4
    after = {path: path.stat().st_ino for path in (tmp_path / "b" / "objects").glob("*/*")}
    assert before.items() < after.items()
    assert restore(new_home, tmp_path / "b").images == 4


def test_a_backup_is_of_one_moment(full: Library, add_image: AddImage, new_home: Settings, tmp_path: Path) -> None:
    """What comes in between the listing and the dump, or the copying, is in the next backup."""
    added: list[Image] = []
    made = back_up(full, tmp_path / "b.tar", on_file=lambda *_: added or added.append(add_image("yellow")))
    assert added
    assert made.images == 3
    restore(new_home, tmp_path / "b.tar")
    assert not ObjectStore(new_home.home_path).path(added[0].sha256).exists()
    assert new_home.database_url is not None
    assert len(rows(new_home.database_url.get_secret_value())["images"]) == 3


def test_nothing_is_written_over_a_library(full: Library, new_home: Settings, tmp_path: Path) -> None:
    back_up(full, tmp_path / "b")
    with pytest.raises(AlreadyExists, match="holds a library"):
        restore(new_home.model_copy(update={"home": full.objects.home}), tmp_path / "b")
    with pytest.raises(AlreadyExists, match="has tables"):
        restore(Settings(home=tmp_path / "other", DATABASE_URL=full.urls.library), tmp_path / "b")
    assert len(rows(full.urls.library)["images"]) == 3


def test_nothing_is_written_over_by_a_backup(full: Library, tmp_path: Path) -> None:
    (tmp_path / "diary").mkdir()
    (tmp_path / "diary" / "today.txt").write_text("dear diary")
    (tmp_path / "old.tar").write_text("dear diary")
    for target in ("diary", "old.tar"):
        with pytest.raises(AlreadyExists):
            back_up(full, tmp_path / target)
    assert (tmp_path / "old.tar").read_text() == "dear diary"


@pytest.mark.parametrize("form", ["folder", "file.tar"])
def test_a_harmed_backup_is_refused_and_leaves_the_new_home_free(
    full: Library, new_home: Settings, tmp_path: Path, form: str
) -> None:
    back_up(full, tmp_path / "folder")
    harm(next(path for path in (tmp_path / "folder" / "objects").glob("*/*")))
    if form == "file.tar":
        with tarfile.open(tmp_path / form, "w") as tar:
            for path in (tmp_path / "folder").iterdir():
                tar.add(path, path.name)
    with pytest.raises(BackupUnreadable, match="harmed"):
        restore(new_home, tmp_path / form)
    back_up(full, tmp_path / "good")
    assert restore(new_home, tmp_path / "good").images == 3


def test_a_backup_that_was_cut_off_is_no_backup(full: Library, new_home: Settings, tmp_path: Path) -> None:
    back_up(full, tmp_path / "b")
    (tmp_path / "b" / "manifest.json").unlink()
    with pytest.raises(BackupUnreadable, match="no whole backup"):
        restore(new_home, tmp_path / "b")
    (tmp_path / "text.tar").write_text("not a tar")
    with pytest.raises(BackupUnreadable):
        restore(new_home, tmp_path / "text.tar")
    with pytest.raises(NotFound):
        restore(new_home, tmp_path / "nowhere")


def test_a_library_that_lacks_files_is_not_backed_up(full: Library, tmp_path: Path) -> None:
    full.objects.delete(next(iter(full.objects.hashes())))
    with pytest.raises(ObjectMissing, match="verify"):
        back_up(full, tmp_path / "b")


def test_a_backup_waits_for_no_collection_of_garbage(full: Library, tmp_path: Path) -> None:
    with objects_kept(full.database), pytest.raises(Busy):
        back_up(full, tmp_path / "b")
