"""Images: one row a content, names that stay, lists that do not shift."""

import pytest

from lib.errors import ImageNotFound
from lib.storage import images
from lib.storage.database import Database
from lib.storage.objects import ObjectStore
from tests.conftest import AddImage


def test_equal_bytes_are_one_image(database: Database, add_image: AddImage) -> None:
    assert add_image("red").id == add_image("red").id


def test_pictures_of_one_name_get_paths_of_their_own(database: Database, add_image: AddImage) -> None:
    first, second = add_image("red"), add_image("red", size=(200, 100))
    assert first.img_name == second.img_name == "red.png"
    assert first.img_path == "library/test/red.png"
    assert second.img_path == f"library/test/red-{second.sha256[:12]}.png"


def test_the_path_is_a_real_file_that_a_person_can_open(
    database: Database, objects: ObjectStore, add_image: AddImage
) -> None:
    image = add_image("red")
    assert (objects.home / image.img_path).read_bytes() == objects.read(image.sha256)


@pytest.mark.parametrize("path", ["library/test/none.png", "../../etc/passwd", "/etc/passwd", "x" * 10_000, ""])
def test_an_unknown_path_is_not_found(database: Database, path: str) -> None:
    with database.session() as session, pytest.raises(ImageNotFound):
        images.image_by_path(session, path)


def test_pages_of_the_list_do_not_shift_when_images_arrive(database: Database, add_image: AddImage) -> None:
    for color in ("red", "green", "blue", "white"):
        add_image(color)
    with database.session() as session:
        first = images.list_images(session, after_id=None, limit=2)
    add_image("black")
    with database.session() as session:
        second = images.list_images(session, after_id=first[-1].id, limit=10)
    assert [image.img_name for image in first + second] == ["white.png", "blue.png", "green.png", "red.png"]


def test_the_predecessors_view_has_its_columns_and_no_stand_in_vectors(database: Database, add_image: AddImage) -> None:
    image = add_image("red")
    with database.session() as session:
        row = images.scrapped_image(session, image.img_path)
    assert list(row) == [
        *("id", "img_name", "img_hash", "img_path", "is_highlighted", "embedding_resnet", "embedding_clip")
    ]
    assert (row["img_hash"], row["is_highlighted"], row["embedding_clip"]) == (image.sha256, False, None)
