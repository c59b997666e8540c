"""Search by vector through SQL, beside pgvector's own scan of everything and an index inside the process.

Vectors of 512 numbers in clusters (synthetic_library.py), each query near one of them. Compared in turn, on the clock
and by processor time, the database server's included, which is kept to one process: the index path of
``lib.storage.neighbors.nearest``, as wide as the library's own measurement says, with an exact scan of the same halfvec
rows (wanted: 40 times less), and with faiss's HNSW over the same vectors in this process on one thread, given the
lowest ``efSearch`` that reaches recall@25 0.99 (wanted: at most 3 times as much). Beside them the floor: what the least
statement costs, and what the server says that the index alone took.

Then: pages under a filter that leaves one image in a hundred; two queries joined, beside comparing everything:
related ones (near two images of a cluster), one in each of two spaces that know nothing of each other, and opposed ones
(the worst case: what is near in one is far in the other); and whole requests to ``POST /v1/search``.
"""

import argparse
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

import faiss
import httpx2 as httpx
import numpy as np
import psycopg
import sqlalchemy as sa
from pgvector import HalfVector
from sqlalchemy.orm import Session

from bench.color_api import running_api
from bench.paired import compare, print_machine
from bench.synthetic_library import fill_vectors
from lib.arrays import Embeddings
from lib.models.registry import model_spec, model_specs
from lib.search import combined, quality
from lib.search.by_vector import role_of
from lib.search.index_recall import width_for
from lib.search.parts import Term, VectorPart
from lib.settings import Settings
from lib.storage import measurements, models
from lib.storage.database import Database, database_urls, prepare
from lib.storage.embeddings import EmbeddingRole, vector_blocks
from lib.storage.image_filters import ImageFilter
from lib.storage.neighbors import nearest, nearest_statement

K, RECALL, EXACT_GOAL, FAISS_GOAL = 25, 0.99, 40, 3
BLOCK, ROUNDS, MIXES = 20, 7, 10
SPEC, LOOK = model_spec("clip", "packaged"), model_spec("resnet", "packaged")
ONE_IN_A_HUNDRED = ImageFilter(formats=("GIF",))
IMAGES = """
INSERT INTO images (sha256, first_byte, format, byte_count, width_px, height_px, has_alpha, phash,
                    working_copy_sha256, img_name, img_path)
SELECT d, i % 256, CASE WHEN i % 100 = 0 THEN 'GIF' ELSE 'PNG' END, 1, 100, 100, false, 0::bit(64), d, i || '.png',
       'library/x/' || i || '.png'
FROM generate_series(1, :count) AS i, LATERAL (SELECT encode(sha256(i::text::bytea), 'hex') AS d) AS digests ORDER BY i
"""


def write_library(database: Database, count: int) -> None:
    """Write images and their vectors in two spaces, build the indexes, and measure them as ``search_index`` does."""
    with database.session() as session:
        for spec in model_specs("packaged"):
            models.add_model(session, spec)
        session.execute(sa.text(IMAGES), {"count": count})
        fill_vectors(session, "clip", count, np.random.default_rng(1))
        fill_vectors(session, "resnet", count, np.random.default_rng(2))
        session.commit()
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))
    with database.session() as session:
        for spec in (SPEC, LOOK):
            quality.measure(session, role_of(spec), spec.spec_id)
        session.commit()


def stored(session: Session, role: EmbeddingRole, spec_id: str) -> Embeddings:
    """Return all vectors, by id."""
    blocks = vector_blocks(session, role, spec_id=spec_id, size=10_000)
    return np.concatenate([vectors for _, vectors in blocks])


def queries_near(vectors: Embeddings, count: int) -> Embeddings:
    """Return unit vectors, each near a stored one."""
    rng = np.random.default_rng(5)
    rows = vectors[rng.integers(len(vectors), size=count)] + 0.02 * rng.standard_normal((count, vectors.shape[1]))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def recall(found: Sequence[Sequence[int]], true: Sequence[set[int]]) -> float:
    """Return the mean share of the true K nearest that were found."""
    return float(np.mean([len(set(ids) & wanted) / K for ids, wanted in zip(found, true, strict=True)]))


def faiss_index(vectors: Embeddings, queries: Embeddings, true: Sequence[set[int]]) -> faiss.IndexHNSWFlat:
    """Return faiss's index of the same graph parameters, set to search no wider than the recall needs."""
    index = faiss.IndexHNSWFlat(vectors.shape[1], 16, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 64
    index.add(vectors)
    faiss.omp_set_num_threads(1)
    for width in (25, 30, 40, 50, 64, 80, 100, 140, 200, 300, 400):
        index.hnsw.efSearch = width
        found = index.search(queries, K)[1] + 1
        reached = recall(found.tolist(), true)
        if reached >= RECALL:
            break
    print(f"faiss HNSW: efSearch {width}, recall@{K} {reached:.4f}")
    return index


def compare_single(session: Session, vectors: Embeddings, queries: Embeddings) -> None:
    """Measure the index path beside the scan and beside faiss."""
    points = measurements.latest_recalls(session, SPEC.spec_id, "index")
    width = width_for(points, K)
    measured = {k: (round(point.recall, 4), point.ef_search) for k, point in points.items()}
    print(f"measured by the library, recall and ef_search by k: {measured}")

    def ask(query: Embeddings, *, exact: bool) -> list[int]:
        found = nearest(session, "clip", query, spec_id=SPEC.spec_id, k=K, exact=exact, ef_search=width)
        return [one.image_id for one in found]

    true = [set((np.argpartition(-row, K)[:K] + 1).tolist()) for row in queries @ vectors.T]
    print(f"index path: recall@{K} {recall([ask(query, exact=False) for query in queries], true):.4f}")
    server = [session.scalar(sa.text("SELECT pg_backend_pid()")) or 0]

    def ours(count: int) -> list[list[int]]:
        return [ask(query, exact=False) for query in queries[:count]]

    scan = compare(
        "index path beside exact halfvec scan", lambda: [ask(query, exact=True) for query in queries[:BLOCK]],
        lambda: ours(len(queries)), items=len(queries), peer_items=BLOCK, rounds=ROUNDS, others=lambda: server,
    )  # fmt: skip
    scan.report(EXACT_GOAL)
    index = faiss_index(vectors, queries, true)
    beside = compare(
        "index path beside faiss in this process", lambda: [index.search(query[None], K) for query in queries],
        lambda: ours(len(queries)), items=len(queries), rounds=ROUNDS, others=lambda: server,
    )  # fmt: skip
    beside.report(1 / FAISS_GOAL)
    floor(session, queries, width or 100, server)


def floor(session: Session, queries: Embeddings, width: int, server: Sequence[int]) -> None:
    """Measure what no search through SQL can cost less than."""
    driver = session.connection().connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    statement = sa.text("SELECT 1")
    least = compare(
        "SELECT 1 by psycopg beside the same by a session",
        lambda: [session.scalar(statement) for _ in range(1000)],
        lambda: [driver.execute("SELECT 1", prepare=True).fetchone() for _ in range(1000)],
        items=1000, rounds=3, others=lambda: server,
    )  # fmt: skip
    least.report()
    asked = nearest_statement("clip", SPEC.spec_id, SPEC.dimension or 0, K)
    session.execute(sa.text("SELECT set_config('hnsw.ef_search', :width, true)"), {"width": str(width)})
    for analyzed in ("ANALYZE, TIMING OFF", "ANALYZE, TIMING ON"):
        took = [_times(session, f"EXPLAIN ({analyzed}) {asked.text}", query) for query in queries]
        planning, execution = np.median(took, axis=0)
        print(f"the server alone, by EXPLAIN ({analyzed}): {planning:.2f} ms planning, {execution:.2f} ms execution")


def _times(session: Session, explained: str, query: Embeddings) -> tuple[float, float]:
    values = {"query": HalfVector(query.astype(np.float16))}
    lines = list(session.connection().exec_driver_sql(explained, values).scalars())
    planning, execution = (float(line.split(":")[1].split()[0]) for line in lines[-2:])
    return planning, execution


def filtered(session: Session, queries: Embeddings) -> None:
    """Measure pages under a filter that leaves one image in a hundred."""
    sizes, took = [], []
    for query in queries:
        part = VectorPart(SPEC, [Term(query, 1, True)], ONE_IN_A_HUNDRED)
        start = perf_counter()
        sizes.append(len(part.nearest(session, K).ids))
        took.append(1e3 * (perf_counter() - start))
    full = sum(size == K for size in sizes)
    print(f"filter that leaves 1 %: {full} of {len(sizes)} pages full; {_spread(took)}")


def mixed(session: Session, queries: Embeddings, looks: Embeddings) -> None:
    """Measure two queries as two parts, as they are joined and by comparing everything."""

    def parts(kind: str, place: int) -> list[VectorPart]:
        query, near = queries[place], np.argsort(queries @ queries[place])
        other = {"related": queries[near[-2]], "opposed": queries[near[0]], "independent": looks[place]}[kind]
        specs = (SPEC, LOOK if kind == "independent" else SPEC)
        return [VectorPart(spec, [Term(v, 1, True)]) for spec, v in zip(specs, (query, other), strict=True)]

    def joined(kind: str, place: int, **options: int) -> combined.Found:
        return combined.search(session, parts(kind, place), [1, 1], k=K, **options)

    few, server = range(MIXES), [session.scalar(sa.text("SELECT pg_backend_pid()")) or 0]
    for kind in ("related", "independent", "opposed"):
        found, whole = ([joined(kind, i, **given) for i in few] for given in ({}, {"first_depth": 10**7}))
        same = np.mean([len(set(a.ids) & set(b.ids)) / K for a, b in zip(found, whole, strict=True)])
        exact = sum(one.exact for one in found)
        print(f"two {kind} queries: {same:.4f} of results those of comparing everything; {exact} of {MIXES} exact")
        beside = compare(
            f"two {kind} queries joined beside comparing everything",
            lambda kind=kind: [joined(kind, i, first_depth=10**7) for i in few],  # type: ignore[misc]
            lambda kind=kind: [joined(kind, i) for i in few],  # type: ignore[misc]
            items=MIXES, rounds=3, others=lambda: server,
        )  # fmt: skip
        beside.report()


def requests(url: str, home: Path, count: int) -> None:
    """Measure whole requests, each asking something new."""
    with running_api(home, url.replace("+psycopg", ""), home / "api.log") as (client, _process):
        ids = np.random.default_rng(6).integers(1, count, 250).tolist()
        kinds: dict[str, Callable[[int], dict[str, object]]] = {
            "text": lambda number: {"text": f"a picture of thing number {number}"},
            "stored id": lambda number: {"images": [{"id": number, "by": "meaning"}]},
            "text and stored id": lambda number: {
                "text": f"a picture of thing {number}",
                "images": [{"id": number, "by": "look"}],
            },
            "stored id, by meaning and look": lambda number: {
                "images": [{"id": number, "by": "meaning"}, {"id": number, "by": "look"}]
            },
            "text under the filter": lambda number: {"text": f"thing {number}", "filters": {"format": ["GIF"]}},
        }
        for name, body in kinds.items():
            took = [_request(client, body(number)) for number in ids][50:]
            print(f"POST /v1/search by {name}: {_spread(took)}")


def _request(client: httpx.Client, body: dict[str, object]) -> float:
    start = perf_counter()
    reply = client.post("/v1/search", json=body | {"limit": K}, headers={"Accept": "application/json"})
    assert reply.is_success, reply.text
    return 1e3 * (perf_counter() - start)


def _spread(took: Sequence[float]) -> str:
    median, most = np.percentile(took, [50, 95])
    return f"{median:.1f} ms median, {most:.1f} ms 95th percentile"


def main() -> None:
    """Make the library, then measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20,000 vectors")
    count = 20_000 if parser.parse_args().quick else 100_000
    os.environ["OMP_NUM_THREADS"] = "1"
    print_machine()
    home = Path(tempfile.mkdtemp(prefix="vitrine-bench-"))
    home.chmod(0o755)
    try:
        with database_urls(Settings(home=home)) as urls:
            prepare(urls.library)
            database = Database(urls.library)
            start = perf_counter()
            write_library(database, count)
            print(f"{count:,} vectors of {SPEC.dimension}; written and indexed in {perf_counter() - start:.0f} s")
            with database.session() as session:
                # A helper's time would not be counted.
                session.execute(sa.text("SET LOCAL max_parallel_workers_per_gather = 0"))
                vectors = stored(session, "clip", SPEC.spec_id)
                queries = queries_near(vectors, 200)
                compare_single(session, vectors, queries)
                filtered(session, queries)
                mixed(session, queries, queries_near(stored(session, "resnet", LOOK.spec_id), MIXES))
            database.dispose()
            requests(urls.library, home, count)
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
