"""Vectors: one partition and one HNSW index per model, searched by cosine distance.

The dimension belongs to the model, so the column has none of its own and each expression casts to it; the index is on
that same cast.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import sqlalchemy as sa
from pgvector import HalfVector
from pgvector.sqlalchemy import HALFVEC
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from lib.arrays import Embeddings, FloatArray
from lib.storage.tables import ClipEmbedding, Image, ResnetEmbedding
from lib.storage.vector_copy import STAGED, stage_vectors

EmbeddingRole: TypeAlias = Literal["resnet", "clip"]
EmbeddingTable: TypeAlias = type[ResnetEmbedding] | type[ClipEmbedding]
TABLES: dict[EmbeddingRole, EmbeddingTable] = {"resnet": ResnetEmbedding, "clip": ClipEmbedding}


@dataclass(frozen=True)
class Neighbor:
    """An image near the query; ``distance`` is the cosine distance, in [0, 2], low is near."""

    image_id: int
    distance: float


def create_partition(session: Session, role: EmbeddingRole, *, spec_id: str, dimension: int) -> None:
    """Make the partition and the HNSW index of a model, if they are missing. ``spec_id`` is lower-case hex."""
    if not set(spec_id) <= set("0123456789abcdef"):
        raise ValueError("a spec_id is lower-case hex")
    table = TABLES[role].__tablename__
    partition = f"{table}_{spec_id}"
    session.execute(sa.text(f"CREATE TABLE IF NOT EXISTS {partition} PARTITION OF {table} FOR VALUES IN ('{spec_id}')"))
    session.execute(
        sa.text(
            f"CREATE INDEX IF NOT EXISTS ix_{partition}_hnsw ON {partition} "
            f"USING hnsw ((vector::halfvec({int(dimension)})) halfvec_cosine_ops)"
        )
    )


def put_embedding(session: Session, role: EmbeddingRole, image_id: int, spec_id: str, vector: FloatArray) -> None:
    """Store one unit vector, shape (D,)."""
    put_embeddings(session, role, spec_id, [image_id], vector[np.newaxis])


def put_embeddings(
    session: Session, role: EmbeddingRole, spec_id: str, image_ids: Sequence[int], vectors: FloatArray
) -> None:
    """Store unit vectors, shape (N, D), one for each image; those that are there already are replaced."""
    stage_vectors(session, image_ids, vectors)
    rows = sa.select(sa.literal(spec_id), STAGED.c.image_id, STAGED.c.vector).order_by(STAGED.c.image_id)
    statement = insert(TABLES[role]).from_select(["spec_id", "image_id", "vector"], rows)
    replaced = {"vector": statement.excluded.vector}
    session.execute(statement.on_conflict_do_update(index_elements=["spec_id", "image_id"], set_=replaced))


def nearest(
    session: Session, role: EmbeddingRole, query: FloatArray, *, spec_id: str, k: int, exact: bool = True
) -> list[Neighbor]:
    """Return the ``k`` live images nearest to ``query``, shape (D,), under one model, nearest first; ties by id.

    ``exact`` scans the model's partition; otherwise the HNSW index answers, with ``ef_search`` raised to cover ``k``.
    """
    settings = {"enable_indexscan": "off"} if exact else {"hnsw.ef_search": str(max(100, min(1000, 2 * k)))}
    settings |= {} if exact else {"hnsw.iterative_scan": "strict_order"}
    for name, value in settings.items():
        session.execute(sa.select(sa.func.set_config(name, value, True)))
    rows = session.execute(nearest_statement(role, query, spec_id=spec_id, k=k)).all()
    for name in settings:
        session.execute(sa.text(f"RESET {name}"))
    return [Neighbor(int(image_id), float(distance)) for image_id, distance in rows]


def nearest_statement(role: EmbeddingRole, query: FloatArray, *, spec_id: str, k: int) -> sa.Select[int, float]:
    """Return the statement behind :func:`nearest`, for an EXPLAIN."""
    table = TABLES[role]
    cast = sa.cast(table.vector, HALFVEC(len(query)))
    distance = cast.cosine_distance(HalfVector(np.asarray(query, dtype=np.float16))).label("distance")
    return (
        sa.select(table.image_id, distance)
        .join(Image, Image.id == table.image_id)
        # A literal, not a parameter: the planner picks the partition, hence the index, from it.
        .where(table.spec_id == sa.literal_column(f"'{spec_id}'"), Image.cleared_in.is_(None))
        .order_by(distance, table.image_id)
        .limit(k)
    )


def embedding_of(session: Session, role: EmbeddingRole, image_id: int, *, spec_id: str) -> FloatArray | None:
    """Return one image's vector, float32 shape (D,), or None if it has not been computed."""
    table = TABLES[role]
    vector = session.scalar(sa.select(table.vector).where(table.image_id == image_id, table.spec_id == spec_id))
    return None if vector is None else _to_array(vector)


def embeddings(session: Session, role: EmbeddingRole, *, spec_id: str) -> tuple[list[int], Embeddings]:
    """Return the ids of all live images with a vector under a model, ascending, and the vectors, (N, D) float32."""
    table = TABLES[role]
    rows = session.execute(
        sa.select(table.image_id, table.vector)
        .join(Image, Image.id == table.image_id)
        .where(table.spec_id == spec_id, Image.cleared_in.is_(None))
        .order_by(table.image_id)
    ).all()
    return [row[0] for row in rows], _stack(row[1] for row in rows)


def _stack(vectors: Iterable[Sequence[float]]) -> Embeddings:
    arrays = [_to_array(vector) for vector in vectors]
    return np.stack(arrays) if arrays else np.empty((0, 0), dtype=np.float32)


def _to_array(vector: Sequence[float]) -> Embeddings:
    return np.asarray(vector, dtype=np.float32)
