"""Single images go by a person's word, stay away, and can come back."""

import pytest

from lib.errors import ImageNotFound, NotFound, TakenDown
from lib.storage import clearing, images, takedowns
from lib.storage.database import Database
from lib.storage.deletion import delete_image, restore_image
from lib.storage.objects import ObjectStore
from tests.conftest import AddImage


def delete(database: Database, image_id: int, *, restore_days: int = 7) -> None:
    """Delete and commit."""
    with database.session() as session:
        delete_image(session, image_id, restore_days=restore_days)
        session.commit()


def live(database: Database) -> int:
    """Return how many images there are."""
    with database.session() as session:
        return images.count_images(session)


def test_a_deleted_image_is_gone_and_its_neighbours_stay(database: Database, add_image: AddImage) -> None:
    image, _ = add_image("red"), add_image("blue")
    delete(database, image.id)
    assert live(database) == 1
    with database.session() as session, pytest.raises(ImageNotFound):
        delete_image(session, image.id, restore_days=7)


def test_scraping_the_same_bytes_does_not_bring_it_back(database: Database, add_image: AddImage) -> None:
    image = add_image("red")
    delete(database, image.id)
    assert add_image("red").id == image.id
    assert live(database) == 0


def test_it_stays_away_when_it_has_been_erased(database: Database, objects: ObjectStore, add_image: AddImage) -> None:
    image, _ = add_image("red"), add_image("blue")
    delete(database, image.id, restore_days=0)
    with database.session() as session:
        assert clearing.erase(session, objects, only_expired=True) == 1
        with pytest.raises(TakenDown):
            takedowns.require_permitted(session, image.sha256, "https://photos.example/red.png")
        (entry,) = takedowns.all_takedowns(session)
    assert (entry.value, entry.reason) == (image.sha256, "deleted as a single image")


def test_it_can_be_brought_back_once(database: Database, add_image: AddImage) -> None:
    image = add_image("red")
    delete(database, image.id)
    with database.session() as session:
        assert restore_image(session, image.id).img_path == image.img_path
        session.commit()
        with pytest.raises(NotFound):
            restore_image(session, image.id)
    assert live(database) == 1


def test_it_cannot_be_brought_back_when_the_time_is_over(database: Database, add_image: AddImage) -> None:
    image = add_image("red")
    delete(database, image.id, restore_days=0)
    with database.session() as session, pytest.raises(NotFound):
        restore_image(session, image.id)


def test_restoring_a_cleared_library_leaves_what_was_deleted_away(database: Database, add_image: AddImage) -> None:
    image, _ = add_image("red"), add_image("blue")
    delete(database, image.id)
    with database.session() as session:
        clearing.clear(session, restore_days=7)
        clearing.restore(session)
        session.commit()
        assert [one.img_name for one in images.list_images(session, after_id=None, limit=9)] == ["blue.png"]
