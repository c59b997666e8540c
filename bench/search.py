"""Search by vector through SQL, beside pgvector's own scan of everything and an index inside the process.

Vectors of 512 numbers in clusters (synthetic_library.py), each query near one of them. Compared in turn, on the clock
and by processor time, the database server's included: the index path of ``lib.storage.embeddings.nearest`` with an
exact scan of the same halfvec rows (wanted: 40 times less), and with faiss's HNSW over the same vectors in this
process on one thread, given the lowest ``efSearch`` that reaches recall@25 0.99 (wanted: at most 3 times as much).
Then: pages under a filter that leaves one image in a hundred, two queries joined by the threshold algorithm beside
scoring everything, and whole requests to ``POST /v1/search``.
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
import sqlalchemy as sa
from sqlalchemy.orm import Session

from bench.color_api import running_api
from bench.paired import compare, print_machine
from bench.synthetic_library import fill_vectors
from lib.arrays import Embeddings
from lib.models.registry import model_spec, model_specs
from lib.search import combined
from lib.search.parts import Term, VectorPart
from lib.settings import Settings
from lib.storage import models
from lib.storage.database import Database, database_urls, prepare
from lib.storage.embeddings import nearest, vector_blocks
from lib.storage.image_filters import ImageFilter

K, RECALL, EXACT_GOAL, FAISS_GOAL = 25, 0.99, 40, 3
BLOCK, ROUNDS = 20, 7
SPEC = model_spec("clip", "packaged")
ONE_IN_A_HUNDRED = ImageFilter(formats=("GIF",))
IMAGES = """
INSERT INTO images (sha256, first_byte, format, byte_count, width_px, height_px, has_alpha, phash,
                    working_copy_sha256, img_name, img_path)
SELECT d, i % 256, CASE WHEN i % 100 = 0 THEN 'GIF' ELSE 'PNG' END, 1, 100, 100, false, 0::bit(64), d, i || '.png',
       'library/x/' || i || '.png'
FROM generate_series(1, :count) AS i, LATERAL (SELECT encode(sha256(i::text::bytea), 'hex') AS d) AS digests ORDER BY i
"""


def write_library(database: Database, count: int) -> None:
    """Write images and their vectors, and build the index."""
    with database.session() as session:
        for spec in model_specs("packaged"):
            models.add_model(session, spec)
        session.execute(sa.text(IMAGES), {"count": count})
        fill_vectors(session, "clip", count, np.random.default_rng(1))
        session.commit()
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))


def stored(session: Session) -> Embeddings:
    """Return all vectors, by id."""
    blocks = vector_blocks(session, "clip", spec_id=SPEC.spec_id, size=10_000)
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

    def ask(query: Embeddings, *, exact: bool) -> list[int]:
        return [one.image_id for one in nearest(session, "clip", query, spec_id=SPEC.spec_id, k=K, exact=exact)]

    true = [set((np.argpartition(-row, K)[:K] + 1).tolist()) for row in queries @ vectors.T]
    print(f"index path: recall@{K} {recall([ask(query, exact=False) for query in queries], true):.4f}")
    server = [session.scalar(sa.text("SELECT pg_backend_pid()")) or 0]

    def ours(count: int) -> list[list[int]]:
        return [ask(query, exact=False) for query in queries[:count]]

    scan = compare(
        "index path beside exact halfvec scan", lambda: [ask(query, exact=True) for query in queries[:BLOCK]],
        lambda: ours(BLOCK), items=BLOCK, rounds=ROUNDS, others=lambda: server,
    )  # fmt: skip
    scan.report(EXACT_GOAL)
    index = faiss_index(vectors, queries, true)
    beside = compare(
        "index path beside faiss in this process", lambda: [index.search(query[None], K) for query in queries],
        lambda: ours(len(queries)), items=len(queries), rounds=ROUNDS, others=lambda: server,
    )  # fmt: skip
    beside.report(1 / FAISS_GOAL)


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


def mixed(session: Session, queries: Embeddings) -> None:
    """Measure two queries as two parts, by the threshold algorithm and by scoring everything."""

    def parts(query: Embeddings) -> list[VectorPart]:
        other = queries[int(np.argmin(queries @ query))]
        return [VectorPart(SPEC, [Term(vector, 1, True)]) for vector in (query, other)]

    def threshold(query: Embeddings) -> list[int]:
        found: list[int] = combined.search(session, parts(query), [1, 1], k=K).ids.tolist()
        return found

    def everything(query: Embeddings) -> list[int]:
        found: list[int] = combined.search(session, parts(query), [1, 1], k=K, first_depth=10**7).ids.tolist()
        return found

    few, server = queries[:5], [session.scalar(sa.text("SELECT pg_backend_pid()")) or 0]
    same = np.mean([len(set(threshold(query)) & set(everything(query))) / K for query in few])
    print(f"two parts: {same:.3f} of results the same by both ways")
    beside = compare(
        "threshold algorithm beside scoring everything", lambda: [everything(query) for query in few],
        lambda: [threshold(query) for query in few], items=len(few), rounds=3, others=lambda: server,
    )  # fmt: skip
    beside.report()


def requests(url: str, home: Path, count: int) -> None:
    """Measure whole requests, each asking something new."""
    with running_api(home, url.replace("+psycopg", ""), home / "api.log") as (client, _process):
        ids = np.random.default_rng(6).integers(1, count, 250).tolist()
        kinds: dict[str, Callable[[int], dict[str, object]]] = {
            "text": lambda number: {"text": f"a picture of thing number {number}"},
            "stored id": lambda number: {"images": [{"id": number, "by": "meaning"}]},
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
                vectors = stored(session)
                queries = queries_near(vectors, 200)
                compare_single(session, vectors, queries)
                filtered(session, queries)
                mixed(session, queries)
            database.dispose()
            requests(urls.library, home, count)
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
