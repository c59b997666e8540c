"""Measuring search on vectors whose neighbours are known."""

from collections.abc import Callable

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from lib.arrays import Embeddings, FloatArray
from lib.models.registry import ModelSpec, model_spec, model_specs
from lib.search import quality
from lib.search.comparison import compare, report, top_overlap
from lib.search.quality import exact_nearest
from lib.storage import measurements, models, sources
from lib.storage.database import Database
from lib.storage.embeddings import put_embedding, soundness, vector_blocks
from lib.storage.neighbors import WIDEST
from tests.conftest import AddImage

SPEC = model_spec("clip", "packaged")
PLACES = 12
AddSighted = Callable[..., None]


def at_angle(degrees: float, dimension: int = 512) -> FloatArray:
    """Return a unit vector at an angle to the first axis."""
    vector = np.zeros(dimension, dtype=np.float32)
    vector[0], vector[1] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return vector


@pytest.fixture
def angles(database: Database, add_image: AddImage) -> dict[int, float]:
    """Twelve images, 10 degrees apart; angle by image id."""
    shades = [f"#{16 * place:02x}4020" for place in range(PLACES)]
    angle_of = {add_image(shade).id: 10.0 * place for place, shade in enumerate(shades)}
    with database.session() as session:
        for image_id, angle in angle_of.items():
            put_embedding(session, "clip", image_id, SPEC.spec_id, at_angle(angle))
        session.commit()
    return angle_of


def test_exact_nearest_over_blocks_is_that_over_everything() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((300, 16)).astype(np.float32)
    queries = rng.standard_normal((7, 16)).astype(np.float32)
    ids = np.arange(1000, 1300)
    blocks = [(ids[start : start + 64], vectors[start : start + 64]) for start in range(0, 300, 64)]
    found = exact_nearest(blocks, queries, 11)
    whole = np.argsort(1 - queries @ vectors.T, axis=1)[:, :11]
    np.testing.assert_array_equal(found.ids, ids[whole])
    np.testing.assert_allclose(found.distances, np.take_along_axis(1 - queries @ vectors.T, whole, axis=1), atol=1e-5)


def test_vectors_come_in_blocks_as_they_were_stored(database: Database, angles: dict[int, float]) -> None:
    with database.session() as session:
        blocks = list(vector_blocks(session, "clip", spec_id=SPEC.spec_id, size=5))
    assert [len(ids) for ids, _ in blocks] == [5, 5, 2]
    ids = np.concatenate([ids for ids, _ in blocks])
    assert list(ids) == sorted(angles)
    expected = np.stack([at_angle(angles[image_id]) for image_id in ids])
    np.testing.assert_allclose(np.concatenate([vectors for _, vectors in blocks]), expected, atol=1e-3)


def test_a_sound_index_recalls_everything_and_distances_are_those_of_the_angles(
    database: Database, angles: dict[int, float]
) -> None:
    with database.session() as session:
        assert quality.measure(session, "clip", SPEC.spec_id)
        recalls = measurements.latest_recalls(session, SPEC.spec_id, "index")
        quantiles = measurements.distance_quantiles(session, SPEC.spec_id)
    assert {k: point.recall for k, point in recalls.items()} == {1: 1.0, 10: 1.0}  # eleven others: no 25, no 100
    assert {point.image_count for point in recalls.values()} == {PLACES}
    assert {k: point.ef_search for k, point in recalls.items()} == {1: 30, 10: 30}  # the narrowest there is
    np.testing.assert_allclose(quantiles["nearest"], 1 - np.cos(np.radians(10)), atol=2e-3)
    assert quantiles["random"][0] == pytest.approx(1 - np.cos(np.radians(10)), abs=2e-3)
    assert quantiles["random"][100] == pytest.approx(1 - np.cos(np.radians(110)), abs=2e-3)


def test_an_index_that_misses_is_found_out(database: Database, angles: dict[int, float]) -> None:
    """An index over half of the rows: it can find at most about half of the neighbours."""
    partition = f"clip_embeddings_{SPEC.spec_id}"
    with database.session() as session:
        session.execute(sa.text(f"DROP INDEX ix_{partition}_hnsw"))
        hidden = ", ".join(str(image_id) for image_id, angle in angles.items() if angle % 20)
        session.execute(sa.text(f"DELETE FROM {partition} WHERE image_id IN ({hidden})"))
        found = _recalls_against(session, angles)
        session.rollback()
    assert found[10] < 0.6


def _recalls_against(session: Session, angles: dict[int, float]) -> dict[int, float]:
    ids = sorted(angles)
    queries = np.stack([at_angle(angles[image_id]) for image_id in ids])
    exact = quality._without_self(exact_nearest([(np.array(ids), queries)], queries, 12), ids)
    found = quality._index_recalls(session, "clip", SPEC.spec_id, ids, queries, exact)
    assert {width for _, width in found.values()} == {WIDEST}  # nothing narrower would have been good enough either
    return {k: recall for k, (recall, _) in found.items()}


def test_a_measurement_is_due_again_when_the_library_has_grown_by_a_twentieth(
    database: Database, angles: dict[int, float]
) -> None:
    with database.session() as session:
        assert measurements.measured_count(session, SPEC.spec_id, "index") is None
        quality.measure(session, "clip", SPEC.spec_id)
        count = measurements.measured_count(session, SPEC.spec_id, "index")
    assert count == PLACES
    assert not measurements.is_stale(1000, 1049)
    assert measurements.is_stale(1000, 1050)


class Words:
    """A text encoder at the edge of the world: a text is an angle in degrees."""

    spec: ModelSpec = SPEC

    def encode_texts(self, texts: list[str]) -> Embeddings:
        """Return the vectors at those angles."""
        return np.stack([at_angle(float(text)) for text in texts])


@pytest.fixture
def add_sighted(database: Database) -> AddSighted:
    """A function that says that an image was seen with an alternative text, on a labelled source or another."""

    def add(image_id: int, alt: str, *, source: str = "labelled") -> None:
        with database.session() as session:
            source_id = sources.upsert_source(session, source, {"labelled": source == "labelled"}, enabled=True)
            url = f"http://{source}.example/{image_id}.png"
            sources.record_page(
                session,
                source_id,
                sources.PageVisit(f"http://{source}.example/{image_id}", "ok", images=[sources.SeenImage(url, alt, 0)]),
            )
            sources.record_image_url(session, sources.ImageVisit(url, "ok", image_id=image_id))
            session.commit()

    return add


def test_captions_of_labelled_sources_are_asked_and_others_are_not(
    database: Database, angles: dict[int, float], add_sighted: AddSighted
) -> None:
    first, second, third, *_ = angles
    add_sighted(first, "1")  # one degree off: its image is the nearest
    add_sighted(second, "108")  # ten degrees: its image is the last but one
    add_sighted(third, "")
    add_sighted(third, "20", source="other")
    with database.session() as session:
        assert measurements.labelled_captions(session, limit=10) == [("108", [second]), ("1", [first])]
        assert quality.measure_captions(session, Words())
        recalls = measurements.latest_recalls(session, SPEC.spec_id, "captions")
        quantiles = measurements.distance_quantiles(session, SPEC.spec_id)
    assert {k: point.recall for k, point in recalls.items()} == {1: 0.5, 10: 0.5, 25: 1.0}
    assert quantiles["caption"][0] == pytest.approx(1 - np.cos(np.radians(1)), abs=1e-3)
    assert quantiles["caption"][100] == pytest.approx(1 - np.cos(np.radians(98)), abs=1e-3)


def test_without_captions_nothing_is_measured(database: Database, angles: dict[int, float]) -> None:
    with database.session() as session:
        assert not quality.measure_captions(session, Words())


@pytest.fixture
def second(database: Database, angles: dict[int, float]) -> str:
    """Another model, under which half of the images have changed places; its spec."""
    spec = next(spec for spec in model_specs("standard") if spec.role == "clip")
    with database.session() as session:
        models.add_model(session, spec)
        for image_id, angle in angles.items():
            put_embedding(session, "clip", image_id, spec.spec_id, at_angle(angle if angle < 60 else angle * 7 % 180))
        session.commit()
    return spec.spec_id


def test_the_overlap_of_a_model_with_itself_is_whole(database: Database, angles: dict[int, float]) -> None:
    with database.session() as session:
        assert top_overlap(session, "clip", SPEC.spec_id, SPEC.spec_id) == (1.0, PLACES)


def test_a_comparison_says_how_much_both_models_agree(
    database: Database, angles: dict[int, float], second: str
) -> None:
    """Eleven others, ten of them named: two models share at least nine whatever they say, here not always all ten."""
    with database.session() as session:
        quality.measure(session, "clip", second)
        compared = compare(session, models.require_model(session, SPEC.spec_id), models.require_model(session, second))
    assert compared.overlap is not None
    assert 0.9 <= compared.overlap < 1.0
    assert (compared.old.index_recall, compared.new.index_recall) == (None, 1.0)
    text = report(compared)
    assert len(text) < 1000
    assert "|clip|conse-lite2-minilm|xlm-roberta-base-ViT-B-32-laion5b-s13b-b90k|" in text
    assert "not measured" in text


def test_soundness_counts_what_no_search_could_trust(database: Database, angles: dict[int, float]) -> None:
    first, second, *_ = angles
    with database.session() as session:
        put_embedding(session, "clip", first, SPEC.spec_id, 0.98 * at_angle(0))
        session.execute(sa.text(f"DROP INDEX ix_clip_embeddings_{SPEC.spec_id}_hnsw"))
        put_embedding(session, "clip", second, SPEC.spec_id, at_angle(0, dimension=8))
        found = soundness(session, "clip", spec_id=SPEC.spec_id, dimension=512, tolerance=2e-3)
        session.rollback()
    assert (found.vectors, found.wrong_dimension, found.not_unit) == (PLACES, 1, 1)
    assert not found.is_sound
