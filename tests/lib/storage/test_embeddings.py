"""Vectors at chosen angles, so that the order of neighbours can be read off."""

import numpy as np
import pytest
import sqlalchemy as sa
from pgvector import HalfVector

from lib.arrays import FloatArray
from lib.models.registry import model_spec
from lib.storage import embeddings
from lib.storage.database import Database
from lib.storage.embeddings import put_embedding, put_embeddings
from lib.storage.neighbors import nearest, nearest_statement
from tests.conftest import AddImage

SPEC = model_spec("clip", "packaged")
COLORS = ("red", "green", "blue", "white", "black")


def at_angle(degrees: float) -> FloatArray:
    """Return a unit vector of the model's dimension at an angle to the first axis."""
    vector = np.zeros(SPEC.dimension or 0, dtype=np.float32)
    vector[0], vector[1] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return vector


@pytest.fixture
def angles(database: Database, add_image: AddImage) -> dict[int, float]:
    """Five images, 10 degrees apart; returns angle by image id."""
    angle_of = {add_image(color).id: 10.0 * index for index, color in enumerate(COLORS)}
    with database.session() as session:
        for image_id, angle in angle_of.items():
            put_embedding(session, "clip", image_id, SPEC.spec_id, at_angle(angle))
        session.commit()
    return angle_of


@pytest.mark.parametrize("exact", [True, False], ids=["exact", "index"])
def test_neighbors_come_in_order_of_angle(database: Database, angles: dict[int, float], exact: bool) -> None:
    with database.session() as session:
        found = nearest(session, "clip", at_angle(12), spec_id=SPEC.spec_id, k=3, exact=exact)
    assert [angles[neighbor.image_id] for neighbor in found] == [10, 20, 0]
    assert found[0].distance == pytest.approx(1 - np.cos(np.radians(2)), abs=1e-3)


def test_equal_distances_are_ordered_by_id(database: Database, angles: dict[int, float]) -> None:
    with database.session() as session:
        for image_id in angles:
            put_embedding(session, "clip", image_id, SPEC.spec_id, at_angle(0))
        found = nearest(session, "clip", at_angle(0), spec_id=SPEC.spec_id, k=5)
    assert [neighbor.image_id for neighbor in found] == sorted(angles)


def test_a_batch_comes_back_as_it_went_and_replaces_what_was_there(
    database: Database, angles: dict[int, float]
) -> None:
    vectors = np.random.default_rng(1).standard_normal((len(angles), SPEC.dimension or 0)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with database.session() as session:
        put_embeddings(session, "clip", SPEC.spec_id, list(angles), vectors)
        put_embeddings(session, "clip", SPEC.spec_id, list(angles)[:2], vectors[:2])
        session.commit()
    with database.session() as session:
        ids, stored = embeddings.embeddings(session, "clip", spec_id=SPEC.spec_id)
    assert ids == list(angles)
    np.testing.assert_array_equal(stored, vectors.astype(np.float16).astype(np.float32))


def test_cleared_images_are_no_neighbors(database: Database, angles: dict[int, float]) -> None:
    from lib.storage.clearing import clear

    with database.session() as session:
        clear(session, restore_days=1)
        assert nearest(session, "clip", at_angle(0), spec_id=SPEC.spec_id, k=5) == []


def test_the_query_can_use_the_models_own_index(database: Database, angles: dict[int, float]) -> None:
    statement = nearest_statement("clip", SPEC.spec_id, SPEC.dimension or 0, 3)
    query = HalfVector(at_angle(0).astype(np.float16))
    with database.session() as session:
        # Five rows are scanned and sorted faster than any index is used; forbid that to see whether the index fits.
        for way in ("enable_seqscan", "enable_bitmapscan", "enable_sort"):
            session.execute(sa.text(f"SET LOCAL {way} = off"))
        plan = "\n".join(session.connection().exec_driver_sql(f"EXPLAIN {statement.text}", {"query": query}).scalars())
    assert f"ix_clip_embeddings_{SPEC.spec_id}_hnsw" in plan


def test_stored_vectors_come_back(database: Database, angles: dict[int, float]) -> None:
    image_id = next(iter(angles))
    with database.session() as session:
        ids, vectors = embeddings.embeddings(session, "clip", spec_id=SPEC.spec_id)
        one = embeddings.embedding_of(session, "clip", image_id, spec_id=SPEC.spec_id)
    assert ids == sorted(angles)
    assert vectors.shape == (5, SPEC.dimension)
    np.testing.assert_allclose(one, at_angle(0), atol=1e-3)
