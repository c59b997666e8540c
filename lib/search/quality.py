"""How good a model's search is in this library: measured against exact search and against captions.

Belongs here: drawing queries, comparing answers, keeping the figures. The arithmetic on a measured distribution is in
relevance.py, two models side by side are in comparison.py.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from lib.arrays import Embeddings, FloatArray
from lib.embedding.encoder import TextEncoder
from lib.storage import measurements
from lib.storage.embeddings import EmbeddingRole, count_vectors, sample_ids, vector_blocks, vectors_of
from lib.storage.neighbors import OUT_OF_ORDER, WIDEST, nearest

QUERIES = 200
INDEX_QUERIES = 50  # each is asked of the index once for every k
INDEX_K = (1, 10, 25, 100)
# Above what is promised, 0.99: a text lies farther from all images than the images that are asked here.
INDEX_RECALL = 0.995
WIDTHS = (30, 45, 60, 80, 100, 140, 200, 280, 400, 560, 800, WIDEST)
CAPTIONS = 500
CAPTION_K = (1, 10, 25)
BLOCK = 10_000
ROUNDING = 2e-3  # halfvec keeps 11 bits of a component: as near as that is as good


@dataclass(frozen=True)
class Nearest:
    """The exact nearest of some queries: image ids, (Q, k) int64, and cosine distances, (Q, k), nearest first."""

    ids: NDArray[np.int64]
    distances: FloatArray


def exact_nearest(blocks: Iterable[tuple[NDArray[np.int64], Embeddings]], queries: Embeddings, k: int) -> Nearest:
    """Return the ``k`` nearest of each query, (Q, D), among vectors that come in blocks; fewer where there are fewer.

    Only the best so far are kept, so the library may be of any size.
    """
    ids = np.empty((len(queries), 0), dtype=np.int64)
    distances = np.empty((len(queries), 0), dtype=np.float32)
    for block_ids, vectors in blocks:
        found = 1 - queries @ vectors.T
        ids = np.hstack([ids, np.broadcast_to(block_ids, found.shape)])
        distances = np.hstack([distances, found])
        if ids.shape[1] > k:  # of thousands only k are worth ordering
            kept = np.argpartition(distances, k - 1, axis=1)[:, :k]
            ids, distances = np.take_along_axis(ids, kept, axis=1), np.take_along_axis(distances, kept, axis=1)
    order = np.lexsort((ids, distances))
    return Nearest(np.take_along_axis(ids, order, axis=1), np.take_along_axis(distances, order, axis=1))


def measure(session: Session, role: EmbeddingRole, spec_id: str) -> bool:
    """Measure a model's index and the spread of its distances, and keep the results; False for under two images.

    Recall@k is the share of the exact k nearest that the index finds, the query itself left out. An answer as near as
    the k-th exact one counts as found, whichever image it is (Aumüller et al. 2020, ANN-Benchmarks, section 3.4). It is
    that of the narrowest search with a recall of 0.995 or more; searches from now on are as wide.
    """
    images = count_vectors(session, role, spec_id=spec_id)
    query_ids = sample_ids(session, role, spec_id=spec_id, size=QUERIES)
    if len(query_ids) < 2:
        return False
    stored = vectors_of(session, role, query_ids, spec_id=spec_id)
    queries = np.stack([stored[query_id] for query_id in query_ids])
    blocks = vector_blocks(session, role, spec_id=spec_id, size=BLOCK)
    exact = _without_self(exact_nearest(blocks, queries, max(INDEX_K) + 1), query_ids)
    found = _index_recalls(session, role, spec_id, query_ids[:INDEX_QUERIES], queries, exact)
    recalls, widths = {k: recall for k, (recall, _) in found.items()}, {k: width for k, (_, width) in found.items()}
    queries_asked = min(len(query_ids), INDEX_QUERIES)
    measurements.add_recalls(session, spec_id, "index", recalls, queries=queries_asked, images=images, widths=widths)
    measurements.put_distances(session, spec_id, "nearest", exact.distances[:, 0], images=images)
    measurements.put_distances(session, spec_id, "random", _pair_distances(queries), images=images)
    return True


def _without_self(found: Nearest, query_ids: Sequence[int]) -> Nearest:
    others = found.ids != np.array(query_ids)[:, None]
    others[others.all(axis=1), -1] = False  # a query that has k equals does not find itself: drop the last instead
    shape = (len(query_ids), found.ids.shape[1] - 1)
    return Nearest(found.ids[others].reshape(shape), found.distances[others].reshape(shape))


def _index_recalls(
    session: Session,
    role: EmbeddingRole,
    spec_id: str,
    query_ids: Sequence[int],
    queries: Embeddings,
    exact: Nearest,
) -> dict[int, tuple[float, int]]:
    """Return recall and width by k, each asked as a search for k would ask it, if the library can fill it."""
    recalls: dict[int, tuple[float, int]] = {}
    for k in INDEX_K:
        if k > exact.ids.shape[1]:
            break
        for width in (width for width in WIDTHS if width > k + 1 + OUT_OF_ORDER):
            found = sum(
                _found(session, role, spec_id, query_id, query, k, width, float(limit))
                for query_id, query, limit in zip(query_ids, queries, exact.distances[:, k - 1], strict=False)
            )
            recalls[k] = found / (k * len(query_ids)), width
            if recalls[k][0] >= INDEX_RECALL:
                break
    return recalls


def _found(
    session: Session,
    role: EmbeddingRole,
    spec_id: str,
    query_id: int,
    query: FloatArray,
    k: int,
    width: int,
    limit: float,
) -> int:
    """Return how many of the ``k`` others that the index names lie within the limit."""
    answer = nearest(session, role, query, spec_id=spec_id, k=k + 1, exact=False, ef_search=width)
    others = [neighbor for neighbor in answer if neighbor.image_id != query_id][:k]
    return sum(neighbor.distance <= limit + ROUNDING for neighbor in others)


def _pair_distances(vectors: Embeddings) -> FloatArray:
    """Return the distances of all pairs of different vectors, (N * (N - 1) / 2,)."""
    distances: FloatArray = (1 - vectors @ vectors.T)[np.triu_indices(len(vectors), k=1)]
    return distances


def measure_captions(session: Session, encoder: TextEncoder) -> bool:
    """Measure how often a caption of a labelled source finds an image of its own; False where there are no captions."""
    spec_id = encoder.spec.spec_id
    captions = measurements.labelled_captions(session, limit=CAPTIONS)
    images = count_vectors(session, "clip", spec_id=spec_id)
    if not captions or not images:
        return False
    queries = encoder.encode_texts([caption for caption, _ in captions])
    blocks = vector_blocks(session, "clip", spec_id=spec_id, size=BLOCK)
    found = exact_nearest(blocks, queries, max(CAPTION_K))
    hits = np.stack([np.isin(row, owned) for row, (_, owned) in zip(found.ids, captions, strict=True)])
    recalls = {k: float(hits[:, :k].any(axis=1).mean()) for k in CAPTION_K}
    measurements.add_recalls(session, spec_id, "captions", recalls, queries=len(captions), images=images)
    _keep_caption_distances(session, spec_id, queries, [owned for _, owned in captions], images)
    return True


def _keep_caption_distances(
    session: Session, spec_id: str, queries: Embeddings, owned: Sequence[Sequence[int]], images: int
) -> None:
    drawn = vectors_of(session, "clip", sample_ids(session, "clip", spec_id=spec_id, size=QUERIES), spec_id=spec_id)
    own = vectors_of(session, "clip", [image_ids[0] for image_ids in owned], spec_id=spec_id)
    matched = [1 - query @ own[ids[0]] for query, ids in zip(queries, owned, strict=True) if ids[0] in own]
    if matched:
        measurements.put_distances(session, spec_id, "caption", np.array(matched), images=images)
    at_random = (1 - queries @ np.stack(list(drawn.values())).T).ravel()
    measurements.put_distances(session, spec_id, "caption_random", at_random, images=images)
