"""Two models of one role side by side, before or after one takes over from the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from lib.arrays import FloatArray
from lib.models.registry import Role
from lib.search.quality import BLOCK, exact_nearest
from lib.storage import measurements, models
from lib.storage.embeddings import TABLES, EmbeddingRole, sample_ids, vector_blocks, vectors_of
from lib.storage.ledger import StageCounts
from lib.storage.tables import Model

SAMPLE = 50
TOP = 10


@dataclass(frozen=True)
class Side:
    """One model's part: how much of the library it has covered, how much its captions and its index find."""

    name: str
    spec_id: str
    state: str
    counts: StageCounts
    caption_recall: float | None
    index_recall: float | None


@dataclass(frozen=True)
class Comparison:
    """The model that answers now (or did before), and the other.

    ``overlap`` is the mean share of images that both name among the ten nearest of the same stored image, in [0, 1],
    over ``queries`` images that both have seen; None where that has no meaning or there are too few.
    """

    role: Role
    old: Side
    new: Side
    overlap: float | None
    queries: int


def compare(session: Session, old: Model, new: Model) -> Comparison:
    """Return how two models of a role differ on this library."""
    overlap, queries = (None, 0)
    if old.role in TABLES:
        overlap, queries = top_overlap(session, old.role, old.spec_id, new.spec_id)
    return Comparison(old.role, _side(session, old), _side(session, new), overlap, queries)


def _side(session: Session, model: Model) -> Side:
    latest = {
        kind: measurements.latest_recalls(session, model.spec_id, kind).get(TOP) for kind in ("captions", "index")
    }
    captions, index = (None if point is None else point.recall for point in latest.values())
    return Side(model.name, model.spec_id, model.state, models.coverage(session, model), captions, index)


def top_overlap(session: Session, role: EmbeddingRole, old: str, new: str) -> tuple[float | None, int]:
    """Return the mean share of common images among the ten nearest under two specs, and how many images were asked."""
    query_ids = sample_ids(session, role, spec_id=new, size=SAMPLE)
    vectors = {spec_id: vectors_of(session, role, query_ids, spec_id=spec_id) for spec_id in (old, new)}
    common = [query_id for query_id in query_ids if query_id in vectors[old]]
    tops = [_tops(session, role, spec_id, common, vectors[spec_id]) for spec_id in (old, new)]
    if not common or not tops[0][common[0]]:
        return None, 0
    shares = [len(tops[0][query_id] & tops[1][query_id]) / len(tops[0][query_id]) for query_id in common]
    return sum(shares) / len(shares), len(shares)


def _tops(
    session: Session, role: EmbeddingRole, spec_id: str, query_ids: Sequence[int], vectors: Mapping[int, FloatArray]
) -> dict[int, set[int]]:
    """Return each image's ten nearest others under one spec, exactly."""
    if not query_ids:
        return {}
    queries = np.stack([vectors[query_id] for query_id in query_ids])
    blocks = vector_blocks(session, role, spec_id=spec_id, size=BLOCK)
    found = exact_nearest(blocks, queries, TOP + 1)
    return {
        query_id: set([int(other) for other in row if other != query_id][:TOP])
        for query_id, row in zip(query_ids, found.ids, strict=True)
    }


def report(comparison: Comparison) -> str:
    """Return a comparison as a Markdown table of under 1,000 characters."""
    old, new = comparison.old, comparison.new
    rows = [
        ("state", old.state, new.state),
        ("images done", str(old.counts.done), str(new.counts.done)),
        ("pending / failed / dead", _open(old.counts), _open(new.counts)),
        (f"captions that find their image in {TOP}", _share(old.caption_recall), _share(new.caption_recall)),
        (f"index recall@{TOP}", _share(old.index_recall), _share(new.index_recall)),
    ]
    lines = [f"|{comparison.role}|{old.name}|{new.name}|", "|---|---|---|", *(f"|{'|'.join(row)}|" for row in rows)]
    if comparison.overlap is not None:
        overlap = f"{_share(comparison.overlap)} of {comparison.queries} images' {TOP} nearest"
        lines.append(f"|the same under both|{overlap}||")
    return "\n".join(lines)


def _open(counts: StageCounts) -> str:
    return f"{counts.pending} / {counts.failed} / {counts.dead}"


def _share(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"
