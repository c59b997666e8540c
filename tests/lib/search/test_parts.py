"""Parts on a library that is large enough for an index, at the planner's own choice: nothing is forbidden to it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from lib.arrays import Embeddings, FloatArray
from lib.color.harmony import HUE_BINS
from lib.color.palette_index import ColorQuery
from lib.errors import MeaninglessQuery
from lib.models.registry import model_spec, model_specs
from lib.search import combined
from lib.search.calibration import Basis
from lib.search.color_table import snapshot_of
from lib.search.parts import SELECTIVE, ColorPart, Part, Term, VectorPart
from lib.storage import measurements, models
from lib.storage.database import Database, prepare
from lib.storage.embeddings import create_partition, embedding_of, put_embeddings
from lib.storage.features import ColorColumns
from lib.storage.image_filters import EVERY_IMAGE, ImageFilter

COUNT, CLUSTERS, DIRECTIONS = 12_000, 100, 16
MEANING, LOOK = model_spec("clip", "packaged"), model_spec("resnet", "packaged")
SELECTED, HALF = ImageFilter(formats=("GIF",)), ImageFilter(formats=("PNG", "GIF"))
IMAGES = """
INSERT INTO images (sha256, first_byte, format, byte_count, width_px, height_px, has_alpha, phash,
                    working_copy_sha256, img_name, img_path)
SELECT encode(sha256(i::text::bytea), 'hex'), i % 256,
       CASE WHEN i % 100 = 0 THEN 'GIF' WHEN i % 2 = 0 THEN 'PNG' ELSE 'JPEG' END,
       1, 100, 100, false, 0::bit(64), encode(sha256(i::text::bytea), 'hex'), i || '.png', 'library/x/' || i || '.png'
FROM generate_series(1, :count) AS i ORDER BY i
"""


@dataclass(frozen=True)
class Large:
    """A library of clustered vectors; row i of ``vectors`` is that of the image with id i + 1, as it is stored."""

    database: Database
    vectors: dict[str, Embeddings]

    def ranked(self, role: str, query: FloatArray, chosen: Callable[[int], bool] = bool) -> list[int]:
        """Return the ids of all chosen images by plain arithmetic, nearest first."""
        distances = 1 - self.vectors[role] @ (query / np.linalg.norm(query))
        return [int(row) + 1 for row in np.argsort(distances, kind="stable") if chosen(int(row) + 1)]


def clustered(rng: np.random.Generator) -> Embeddings:
    """Return unit vectors around a few centres, in a space of few directions, as the store keeps them."""
    basis = rng.standard_normal((DIRECTIONS, 512))
    centers = rng.standard_normal((CLUSTERS, DIRECTIONS))
    latent = centers[rng.integers(CLUSTERS, size=COUNT)] + 0.5 * rng.standard_normal((COUNT, DIRECTIONS))
    rows = latent @ basis + 0.2 * rng.standard_normal((COUNT, 512))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)


@pytest.fixture(scope="module")
def large(server_url: str) -> Iterator[Large]:
    """Made once: the index is built over the vectors that are there, which is faster than adding them one by one."""
    url = sa.make_url(server_url).set(database="search_parts")
    admin = sa.create_engine(server_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text("CREATE DATABASE search_parts"))
    rendered = url.render_as_string(hide_password=False)
    prepare(rendered)
    database, rng = Database(rendered), np.random.default_rng(7)
    vectors = {"clip": clustered(rng), "resnet": clustered(rng)}
    with database.session() as session:
        for spec in model_specs("packaged"):
            models.add_model(session, spec)
        session.execute(sa.text(IMAGES), {"count": COUNT})
        session.execute(sa.text("SET LOCAL maintenance_work_mem = '512MB'"))
        for spec in (MEANING, LOOK):
            session.execute(sa.text(f"DROP INDEX ix_{spec.role}_embeddings_{spec.spec_id}_hnsw"))
            put_embeddings(session, spec.role, spec.spec_id, list(range(1, COUNT + 1)), vectors[spec.role])
            create_partition(session, spec.role, spec_id=spec.spec_id, dimension=512)
        session.commit()
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))
    yield Large(database, vectors)
    database.dispose()
    with admin.connect() as connection:
        connection.execute(sa.text("DROP DATABASE search_parts"))
    admin.dispose()


@pytest.fixture
def session(large: Large) -> Iterator[Session]:
    """A session on it."""
    with large.database.session() as session:
        yield session


def near(large: Large, role: str, image_id: int) -> FloatArray:
    """Return a unit vector near that of an image."""
    shifted = large.vectors[role][image_id - 1] + 0.01 * np.random.default_rng(image_id).standard_normal(512)
    return np.asarray(shifted / np.linalg.norm(shifted))


def text_part(large: Large, wanted: ImageFilter = EVERY_IMAGE, exact_up_to: int = 0) -> VectorPart:
    """Return what a text asks."""
    return VectorPart(MEANING, [Term(near(large, "clip", 5), 1, True)], wanted, exact_up_to)


def parts_of(kind: str, large: Large, session: Session, wanted: ImageFilter) -> list[Part]:
    """Return the parts that each kind of search has."""
    upload = Term(near(large, "resnet", 9), 1, False)
    vector = embedding_of(session, "resnet", 77, spec_id=LOOK.spec_id)
    assert vector is not None
    if kind == "text":
        return [text_part(large, wanted)]
    if kind == "stored id":
        return [VectorPart(LOOK, [Term(vector, 1, False)], wanted, 0)]
    if kind == "upload":
        return [VectorPart(LOOK, [upload], wanted, 0)]
    return [text_part(large, wanted), VectorPart(LOOK, [upload, Term(vector, -0.5, False)], wanted, 0)]


@pytest.mark.parametrize("wanted", [ImageFilter(), HALF, ImageFilter(left_out=(77,))], ids=["all", "half", "but one"])
@pytest.mark.parametrize("kind", ["text", "stored id", "upload", "mixed"])
def test_each_kind_of_search_is_answered_by_the_index(
    large: Large, session: Session, kind: str, wanted: ImageFilter
) -> None:
    """Each ranking that the search really asks for is explained, as and where it was asked, the second page's too."""
    asked: list[tuple[str, object]] = []

    @sa.event.listens_for(large.database.engine, "before_cursor_execute")
    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if "<=>" in statement and "ORDER BY" in statement:
            asked.append((statement, parameters))

    parts, k = parts_of(kind, large, session, wanted), 10
    first = combined.search(session, parts, [1] * len(parts), k=k, first_depth=40)
    after = float(first.scores[-1]), int(first.ids[-1])
    second = combined.search(session, parts, [1] * len(parts), k=k, after=after, scales=first.scales, first_depth=40)
    sa.event.remove(large.database.engine, "before_cursor_execute", note)
    assert (len(first.ids), len(second.ids)) == (k, k)
    asked = asked[: 2 * len(parts)]  # a mix may go on to read so far that the index gives up
    for statement, parameters in asked:
        plan = "\n".join(session.connection().exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars())
        index_is_used = "_hnsw on" in plan
        assert index_is_used  # the plan itself holds a vector of 512 numbers
    assert len(asked) == 2 * len(parts)
    assert kind == "mixed" or not (first.exact or second.exact)


def test_the_index_finds_what_a_comparison_of_all_finds(large: Large, session: Session) -> None:
    shares = []
    for image_id in range(1, 400, 20):
        part = VectorPart(MEANING, [Term(near(large, "clip", image_id), 1, True)], exact_up_to=0)
        found = part.nearest(session, 25)
        shares.append(len(set(found.ids.tolist()) & set(large.ranked("clip", part.direction)[:25])) / 25)
    assert np.mean(shares) >= 0.99


@pytest.mark.parametrize("exact_up_to", [0, 10 * COUNT], ids=["index", "exact"])
def test_pages_ascend_and_show_nothing_twice(large: Large, session: Session, exact_up_to: int) -> None:
    part, after, seen = text_part(large, exact_up_to=exact_up_to), None, []
    for _ in range(12):
        page = part.nearest(session, 24, after)
        seen += list(zip(page.distances.tolist(), page.ids.tolist(), strict=True))
        after = seen[-1]
    assert seen == sorted(set(seen))
    assert len(seen) == 12 * 24
    common = set(large.ranked("clip", part.direction)[: len(seen)]) & {image_id for _, image_id in seen}
    assert len(common) >= (0.99 if exact_up_to == 0 else 1) * len(seen)


def test_distances_are_those_of_plain_arithmetic(large: Large, session: Session) -> None:
    terms = [Term(near(large, "clip", 3), 2, True), Term(near(large, "clip", 4), -1, False)]
    part = VectorPart(MEANING, terms, exact_up_to=10 * COUNT)
    direction = 2 * terms[0].vector - terms[1].vector
    direction /= np.linalg.norm(direction)
    found = part.nearest(session, 50)
    rows = large.vectors["clip"][found.ids - 1]
    np.testing.assert_allclose(found.distances, 1 - rows @ direction, atol=1e-3)
    np.testing.assert_array_equal(part.distances(session, found.ids), found.distances)
    singly = 1 - rows @ np.stack([term.vector for term in terms]).T
    np.testing.assert_allclose(part.term_distances(session, found.ids), singly, atol=1e-3)
    assert found.ids.tolist() == large.ranked("clip", direction)[:50]


def test_a_filter_that_leaves_one_in_a_hundred_still_fills_the_page(large: Large, session: Session) -> None:
    part = text_part(large, SELECTED)
    found = part.nearest(session, 100)
    assert found.ids.tolist() == large.ranked("clip", part.direction, lambda image_id: image_id % 100 == 0)[:100]
    assert (found.exact, found.is_all) == (True, False)
    behind = part.nearest(session, 100, (float(found.distances[29]), int(found.ids[29])))
    assert behind.ids.tolist()[:70] == found.ids.tolist()[30:]
    assert part.nearest(session, COUNT // 100 + 1).is_all


def test_where_the_index_gives_up_everything_is_compared(large: Large, session: Session) -> None:
    """More is wanted than an index scan visits: the answer is whole all the same, and says that it is exact."""
    assert len(large.vectors["clip"]) // 2 > SELECTIVE
    session.execute(sa.text("SET LOCAL hnsw.max_scan_tuples = 500"))
    part = text_part(large, HALF)
    found = part.nearest(session, 2_000)
    assert found.exact
    assert (found.ids % 2 == 0).all()
    distances = np.sort(1 - large.vectors["clip"][1::2] @ part.direction)[:2_000]
    np.testing.assert_allclose(found.distances, distances, atol=1e-3)


def test_terms_that_cancel_out_are_refused(large: Large) -> None:
    vector = near(large, "clip", 1)
    with pytest.raises(MeaninglessQuery):
        _ = VectorPart(MEANING, [Term(vector, 1, True), Term(vector, -1, False)]).direction


def test_without_measurements_a_match_has_a_relevance_but_nobody_says_weak(large: Large, session: Session) -> None:
    part = text_part(large)
    found = part.nearest(session, 5)
    judgement = part.judge(session, found.ids, found.distances)
    assert judgement.basis is Basis.query
    assert judgement.relevance is not None
    assert judgement.relevance.min() > 0.9
    assert judgement.weak == [None] * 5


def test_the_measured_recall_is_that_of_the_next_larger_page(large: Large, session: Session) -> None:
    part = text_part(large)
    assert part.recall(session, 24) is None
    measurements.add_recalls(session, MEANING.spec_id, "index", {10: 0.99, 25: 0.98, 100: 0.97}, queries=50, images=9)
    assert [text_part(large).recall(session, k) for k in (10, 24, 200)] == [0.99, 0.98, 0.97]


def test_the_index_is_searched_as_wide_as_the_measurement_was(large: Large, session: Session) -> None:
    recalls = {25: 0.996, 100: 0.995}
    measurements.add_recalls(
        session, MEANING.spec_id, "index", recalls, queries=50, images=9, widths={25: 60, 100: 150}
    )
    widths = {}
    for name, wanted, k in (("page", EVERY_IMAGE, 26), ("long", EVERY_IMAGE, 27), ("filtered", HALF, 26)):
        text_part(large, wanted).nearest(session, k)
        widths[name] = session.scalar(sa.text("SHOW hnsw.ef_search"))
    assert widths == {"page": "60", "long": "150", "filtered": "100"}


def test_a_space_is_read_by_the_index_or_handed_over_whole_when_that_is_no_dearer(
    large: Large, session: Session
) -> None:
    part = text_part(large, ImageFilter(left_out=(77,)))
    some, whole = part.read(session, 100), part.read(session, COUNT // 4)
    assert (len(some.ids), some.is_all, some.exact) == (100, False, False)
    assert (len(whole.ids), whole.is_all, whole.exact) == (COUNT - 1, True, True)
    ranked = large.ranked("clip", part.direction, lambda image_id: image_id != 77)
    assert whole.behind(None, 50).ids.tolist() == ranked[:50]
    every = part.distances(session, np.array([77, *some.ids]))
    np.testing.assert_array_equal(every, [np.inf, *some.distances])


def test_colors_obey_filters_and_tolerance_and_know_single_images(session: Session) -> None:
    count = 2_000
    lab = np.zeros((count, 8, 3), np.float32)
    lab[:, 0] = np.random.default_rng(2).uniform((20, -60, -60), (80, 60, 60), (count, 3))
    weights = np.zeros((count, 8), np.float32)
    weights[:, 0] = 1
    ids = np.arange(1, count + 1)
    hues = np.full((count, HUE_BINS), 1 / HUE_BINS, np.float32)
    columns = ColorColumns(ids, np.ones(count, np.bool_), lab, weights, hues)
    colors = snapshot_of(columns, np.zeros((count, 16, 16, 4), np.float16))
    query = ColorQuery(np.array([[50.0, 30.0, 20.0]]), np.array([1.0]))
    part = ColorPart(colors, query, within=15, wanted=SELECTED)
    found = part.nearest(session, 1_000)
    distances = query.distances(lab, weights)
    expected = [int(i) for i in ids[np.argsort(distances)] if i % 100 == 0 and distances[i - 1] <= 15]
    assert found.ids.tolist() == expected
    assert found.is_all
    asked = np.array([*expected, 1, count + 5])
    np.testing.assert_array_equal(part.distances(session, asked), [*found.distances, np.inf, np.inf])
    without = ColorPart(colors, query, wanted=ImageFilter(left_out=(expected[0],)))
    assert expected[0] not in without.nearest(session, 5).ids
