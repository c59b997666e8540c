"""Clearing hides, restoring brings back, erasing removes."""

import pytest

from lib.errors import ImageNotFound, NotFound
from lib.storage import clearing, images
from lib.storage.database import Database
from lib.storage.objects import ObjectStore
from tests.conftest import AddImage


def clear(database: Database, *, restore_days: int = 7) -> clearing.Cleared:
    """Clear and commit."""
    with database.session() as session:
        cleared = clearing.clear(session, restore_days=restore_days)
        session.commit()
    return cleared


def test_a_cleared_library_is_empty_and_says_what_went(database: Database, add_image: AddImage) -> None:
    image = add_image("red")
    assert clear(database).counts["images"] == 1
    with database.session() as session:
        assert images.count_images(session) == 0
        with pytest.raises(ImageNotFound):
            images.image_by_id(session, image.id)


def test_what_was_cleared_can_be_brought_back(database: Database, add_image: AddImage) -> None:
    image = add_image("red")
    clear(database)
    with database.session() as session:
        clearing.restore(session)
        session.commit()
        assert images.image_by_path(session, image.img_path).id == image.id


def test_scraping_the_same_bytes_after_a_clear_revives_the_row(database: Database, add_image: AddImage) -> None:
    before = add_image("red")
    clear(database)
    assert add_image("red").id == before.id
    with database.session() as session:
        assert images.count_images(session) == 1


def test_there_is_nothing_to_restore_once_the_time_is_over(database: Database, add_image: AddImage) -> None:
    add_image("red")
    clear(database, restore_days=0)
    with database.session() as session, pytest.raises(NotFound):
        clearing.restore(session)


def test_erasing_removes_rows_names_and_files_but_nothing_that_lives(
    database: Database, objects: ObjectStore, add_image: AddImage
) -> None:
    gone = add_image("red")
    clear(database)
    kept = add_image("blue")
    with database.session() as session:
        assert clearing.erase(session, objects, only_expired=False) == 1
        clearing.collect_garbage(session, objects, min_age_s=-1)
    assert set(objects.hashes()) == {kept.sha256, kept.working_copy_sha256}
    assert not (objects.home / gone.img_path).exists()


def test_garbage_collection_spares_files_that_are_about_to_get_rows(database: Database, objects: ObjectStore) -> None:
    digest = objects.put(b"published a moment ago")
    with database.session() as session:
        assert clearing.collect_garbage(session, objects) == 0
    assert objects.path(digest).exists()
