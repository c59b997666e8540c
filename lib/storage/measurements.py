"""What was measured of each model: how its distances are spread, how much its searches find.

Measuring is in lib.search; here the results are kept, and it is decided when they are out of date.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Session

from lib.arrays import FloatArray
from lib.storage.tables import DistanceDistribution, Image, ImageUrl, Page, Recall, Sighting, Source

DistanceKind: TypeAlias = Literal["nearest", "random", "caption", "caption_random"]
RecallKind: TypeAlias = Literal["index", "captions"]
STALE_AFTER = 0.05  # of the library, grown or shrunk
PERCENTS = np.arange(101)


@dataclass(frozen=True)
class RecallPoint:
    """One measurement: the share found, in [0, 1], by ``query_count`` queries among ``image_count`` images.

    ``ef_search`` is how many candidates wide the index was searched; None for what needs no index.
    """

    kind: str
    k: int
    recall: float
    query_count: int
    image_count: int
    measured_at: datetime
    ef_search: int | None = None


def is_stale(measured_count: int | None, count: int) -> bool:
    """Return whether a library has changed too much since it was measured, or was never measured.

    >>> is_stale(100, 104), is_stale(100, 105), is_stale(100, 90), is_stale(None, 1)
    (False, True, True, True)
    """
    return measured_count is None or abs(count - measured_count) >= max(1, STALE_AFTER * measured_count)


def measured_count(session: Session, spec_id: str, kind: RecallKind) -> int | None:
    """Return how many images the library had when that recall of a model was last measured; None if never."""
    statement = sa.select(Recall.image_count).where(Recall.spec_id == spec_id, Recall.kind == kind)
    return session.scalar(statement.order_by(Recall.measured_at.desc(), Recall.id.desc()).limit(1))


def put_distances(session: Session, spec_id: str, kind: DistanceKind, distances: FloatArray, *, images: int) -> None:
    """Keep the percentiles of a sample of cosine distances, (N,), N > 0, in place of those before."""
    values = {
        "quantiles": [float(quantile) for quantile in np.percentile(distances, PERCENTS)],
        "sample_size": len(distances),
        "image_count": images,
        "measured_at": sa.func.now(),
    }
    statement = insert(DistanceDistribution).values(spec_id=spec_id, kind=kind, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["spec_id", "kind"], set_=values))


def distance_quantiles(session: Session, spec_id: str) -> dict[str, NDArray[np.float64]]:
    """Return a model's percentiles 0 to 100, (101,), by kind; empty before the first measurement."""
    rows = session.scalars(sa.select(DistanceDistribution).where(DistanceDistribution.spec_id == spec_id))
    return {row.kind: np.array(row.quantiles, dtype=np.float64) for row in rows}


def add_recalls(
    session: Session,
    spec_id: str,
    kind: RecallKind,
    recalls: Mapping[int, float],
    *,
    queries: int,
    images: int,
    widths: Mapping[int, int] | None = None,
) -> None:
    """Add a measurement: the recall in [0, 1] by k, and the ``ef_search`` that it took by k."""
    common = {"spec_id": spec_id, "kind": kind, "query_count": queries, "image_count": images}
    rows = [common | {"k": k, "recall": recall, "ef_search": (widths or {}).get(k)} for k, recall in recalls.items()]
    if rows:
        session.execute(insert(Recall), rows)


def recall_history(session: Session, spec_id: str) -> list[RecallPoint]:
    """Return all measurements of a model, oldest first."""
    rows = session.scalars(sa.select(Recall).where(Recall.spec_id == spec_id).order_by(Recall.measured_at, Recall.id))
    return [_point(row) for row in rows]


def latest_recalls(session: Session, spec_id: str, kind: RecallKind) -> dict[int, RecallPoint]:
    """Return the newest measurement of a model for each k, ascending."""
    rows = session.scalars(
        sa.select(Recall)
        .where(Recall.spec_id == spec_id, Recall.kind == kind)
        .ext(distinct_on(Recall.k))
        .order_by(Recall.k, Recall.measured_at.desc(), Recall.id.desc())
    )
    return {row.k: _point(row) for row in rows}


def _point(row: Recall) -> RecallPoint:
    return RecallPoint(row.kind, row.k, row.recall, row.query_count, row.image_count, row.measured_at, row.ef_search)


def labelled_captions(session: Session, *, limit: int) -> list[tuple[str, Sequence[int]]]:
    """Return up to ``limit`` different captions with the live images that carry them, the same ones at each call.

    They are the alternative texts on pages of sources whose rules say ``labelled``: their owner vouches for them.
    """
    ids = sa.func.array_agg(sa.distinct(Image.id))
    rows = session.execute(
        sa.select(Sighting.alt, ids)
        .join(ImageUrl, ImageUrl.id == Sighting.image_url_id)
        .join(Image, Image.id == ImageUrl.image_id)
        .join(Page, Page.id == Sighting.page_id)
        .join(Source, Source.id == Page.source_id)
        .where(
            Source.rules["labelled"].as_boolean(),
            Image.cleared_in.is_(None),
            Page.cleared_in.is_(None),
            Sighting.alt != "",
        )
        .group_by(Sighting.alt)
        .order_by(sa.func.md5(Sighting.alt))
        .limit(limit)
    )
    return [(alt, image_ids) for alt, image_ids in rows]
