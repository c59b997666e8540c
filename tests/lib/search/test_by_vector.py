"""Rankings by vectors at chosen angles, so that the right order can be read off."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from lib.arrays import Embeddings, RGBAImage
from lib.errors import NotComputedYet
from lib.models.registry import ModelSpec, model_spec
from lib.search import by_vector
from lib.storage.database import Database
from lib.storage.embeddings import put_embedding
from tests.conftest import AddImage

PICTURE = np.zeros((8, 8, 4), np.uint8)
ANGLES = {"red": 50, "green": 10, "blue": 90, "white": 10, "black": 180}


def at(degrees: float) -> Embeddings:
    """Return a unit vector of 512 dimensions at an angle to the first axis."""
    vector = np.zeros((1, 512), np.float32)
    vector[0, :2] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return vector


@dataclass(frozen=True)
class FixedEncoder:
    """Our own encoder: every query lies at 0 degrees."""

    spec: ModelSpec
    pictures_at_once: int = 1

    def encode_images(self, images: Sequence[RGBAImage]) -> Embeddings:
        """Return the vector at 0 degrees."""
        assert len(images) == 1
        return at(0)

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Return the vector at 0 degrees."""
        assert len(texts) == 1
        return at(0)


@pytest.fixture
def ids(database: Database, add_image: AddImage) -> dict[str, int]:
    """Images with vectors at known angles under both packaged models."""
    ids = {name: add_image(name).id for name in ANGLES}
    with database.session() as session:
        for name, degrees in ANGLES.items():
            for role in ("resnet", "clip"):
                spec_id = model_spec(role, "packaged").spec_id
                put_embedding(session, role, ids[name], spec_id, at(degrees)[0])
        session.commit()
    return ids


def test_nearest_first_and_ties_by_id(database: Database, ids: dict[str, int]) -> None:
    encoder = FixedEncoder(model_spec("resnet", "packaged"))
    with database.session() as session:
        answer = by_vector.by_picture(session, encoder, PICTURE, k=4)
    assert [neighbor.image_id for neighbor in answer.neighbors] == [
        ids[name] for name in ("green", "white", "red", "blue")
    ]
    expected = [1 - np.cos(np.radians(angle)) for angle in (10, 10, 50, 90)]
    np.testing.assert_allclose([neighbor.distance for neighbor in answer.neighbors], expected, atol=1e-3)
    assert answer.spec.name == "efficientnet-lite2-512"
    assert answer.exact


def test_words_search_the_space_of_words(database: Database, ids: dict[str, int]) -> None:
    encoder = FixedEncoder(model_spec("clip", "packaged"))
    with database.session() as session:
        put_embedding(session, "clip", ids["black"], encoder.spec.spec_id, at(1)[0])
        answer = by_vector.by_words(session, encoder, "anything", k=1)
    assert [neighbor.image_id for neighbor in answer.neighbors] == [ids["black"]]


def test_a_stored_image_is_not_its_own_neighbor(database: Database, ids: dict[str, int]) -> None:
    spec = model_spec("resnet", "packaged")
    with database.session() as session:
        answer = by_vector.by_image(session, spec, ids["green"], k=2)
    assert [neighbor.image_id for neighbor in answer.neighbors] == [ids["white"], ids["red"]]


def test_an_image_without_a_vector_says_so(database: Database, add_image: AddImage) -> None:
    with database.session() as session, pytest.raises(NotComputedYet):
        by_vector.by_image(session, model_spec("resnet", "packaged"), add_image("red").id, k=2)


def test_a_large_library_is_asked_through_its_index(database: Database, ids: dict[str, int]) -> None:
    """The limit is lowered to reach it: what is found stays the same, and is no longer called exact."""
    encoder = FixedEncoder(model_spec("resnet", "packaged"))
    with database.session() as session:
        exact = by_vector.by_picture(session, encoder, PICTURE, k=3)
        indexed = by_vector.by_picture(session, encoder, PICTURE, k=3, exact_up_to=len(ids) - 1)
    assert (exact.exact, indexed.exact) == (True, False)
    assert indexed.neighbors == exact.neighbors


def test_a_model_without_vectors_cannot_be_searched(database: Database) -> None:
    with database.session() as session, pytest.raises(ValueError, match="makes no vectors"):
        by_vector.by_image(session, model_spec("color", "packaged"), 1, k=1)
