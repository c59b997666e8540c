"""Vectors: one partition and one HNSW index per model, by cosine distance; what is stored, counted and copied of them.

The dimension belongs to the model, so the column has none of its own and each expression casts to it; the index is on
that same cast. Searching is in neighbors.py.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from pgvector.sqlalchemy import HALFVEC
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from lib.arrays import Embeddings, FloatArray
from lib.storage.tables import ClipEmbedding, Image, ResnetEmbedding
from lib.storage.vector_copy import STAGED, stage_vectors

if TYPE_CHECKING:
    import psycopg

EmbeddingRole: TypeAlias = Literal["resnet", "clip"]
EmbeddingTable: TypeAlias = type[ResnetEmbedding] | type[ClipEmbedding]
HEX_DIGITS = frozenset("0123456789abcdef")
TABLES: dict[EmbeddingRole, EmbeddingTable] = {"resnet": ResnetEmbedding, "clip": ClipEmbedding}


def create_partition(session: Session, role: EmbeddingRole, *, spec_id: str, dimension: int) -> None:
    """Make the partition and the HNSW index of a model, if they are missing. ``spec_id`` is lower-case hex."""
    if not set(spec_id) <= HEX_DIGITS:
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


def estimated_count(session: Session, role: EmbeddingRole, *, spec_id: str) -> int:
    """Return about how many vectors a model has: as the planner believes, counted where it does not know."""
    # A count costs more than a search: it reads every row of an index.
    partition = f"{TABLES[role].__tablename__}_{spec_id}"
    known = session.scalar(
        sa.text("SELECT reltuples FROM pg_class WHERE oid = to_regclass(:name)"), {"name": partition}
    )
    return count_vectors(session, role, spec_id=spec_id) if known is None or known <= 0 else int(known)


def embedding_of(session: Session, role: EmbeddingRole, image_id: int, *, spec_id: str) -> FloatArray | None:
    """Return one image's vector, float32 shape (D,), or None if it has not been computed."""
    table = TABLES[role]
    vector = session.scalar(sa.select(table.vector).where(table.image_id == image_id, table.spec_id == spec_id))
    return None if vector is None else _to_array(vector)


def analyze_changed(session: Session) -> None:
    """Renew the planner's statistics of the models' partitions of which a twentieth or more has changed since."""
    changed = sa.text(
        "SELECT relname FROM pg_stat_user_tables JOIN pg_inherits ON inhrelid = relid "
        "WHERE inhparent::regclass::text IN ('resnet_embeddings', 'clip_embeddings') "
        "AND n_mod_since_analyze > 0.05 * greatest(n_live_tup, 1)"
    )
    for partition in session.scalars(changed).all():
        session.execute(sa.text(f"ANALYZE {partition}"))


def count_vectors(session: Session, role: EmbeddingRole, *, spec_id: str) -> int:
    """Return how many live images have a vector under a model."""
    return session.scalar(_live(role, spec_id, sa.func.count())) or 0


@dataclass(frozen=True)
class Soundness:
    """How many vectors a model has stored, and how many of them no search could trust."""

    vectors: int
    wrong_dimension: int
    not_unit: int

    @property
    def is_sound(self) -> bool:
        """Whether all of them can be searched."""
        return self.wrong_dimension == self.not_unit == 0


def soundness(session: Session, role: EmbeddingRole, *, spec_id: str, dimension: int, tolerance: float) -> Soundness:
    """Look at every vector of a model, inside the server: its dimension, and whether its norm is 1 within tolerance.

    pgvector itself refuses what is not finite.
    """
    table = TABLES[role]
    # The column has no dimension of its own; a cast to one would raise at the first wrong row.
    norm = sa.func.l2_norm(sa.cast(table.vector, HALFVEC()))
    unsound = sa.or_(norm < 1 - tolerance, norm > 1 + tolerance)
    wrong = sa.func.vector_dims(sa.cast(table.vector, HALFVEC())) != dimension
    row = session.execute(
        sa.select(sa.func.count(), sa.func.count().filter(wrong), sa.func.count().filter(unsound)).where(
            table.spec_id == spec_literal(spec_id)
        )
    ).one()
    return Soundness(*row)


def sample_ids(session: Session, role: EmbeddingRole, *, spec_id: str, size: int) -> list[int]:
    """Return the ids of up to ``size`` live images with a vector, spread evenly, the same ones at each call."""
    table = TABLES[role]
    # Ranked by a hash of the id: as good as drawn, and unlike a draw repeatable.
    statement = _live(role, spec_id, table.image_id).order_by(sa.func.hashint8(table.image_id), table.image_id)
    return list(session.scalars(statement.limit(size)))


def vectors_of(
    session: Session, role: EmbeddingRole, image_ids: Sequence[int], *, spec_id: str
) -> dict[int, FloatArray]:
    """Return the vectors, (D,) float32, of those of these live images that have one, by image id."""
    table = TABLES[role]
    rows = session.execute(_live(role, spec_id, table.image_id, table.vector).where(table.image_id.in_(image_ids)))
    return {image_id: _to_array(vector) for image_id, vector in rows}


def vector_blocks(
    session: Session, role: EmbeddingRole, *, spec_id: str, size: int
) -> Iterator[tuple[NDArray[np.int64], Embeddings]]:
    """Yield all live images' ids, (n,), and vectors, (n, D) float32, in blocks of ``size``, ascending by id.

    Read as the server keeps them, in binary: text would cost a hundred times the arithmetic that follows.
    """
    table = TABLES[role].__tablename__
    connection = session.connection().connection.driver_connection
    with cast("psycopg.Connection", connection).cursor("vector_blocks", binary=True) as cursor:
        cursor.itersize = size
        cursor.execute(
            f"SELECT image_id, halfvec_send(vector::halfvec) FROM {table} "  # noqa: S608  a table of ours
            "JOIN images ON images.id = image_id WHERE spec_id = %s AND cleared_in IS NULL ORDER BY image_id",
            (spec_id,),
        )
        while rows := cursor.fetchmany(size):
            ids = np.array([row[0] for row in rows], dtype=np.int64)
            yield ids, _from_binary(b"".join(row[1] for row in rows), len(rows))


def _from_binary(data: bytes, count: int) -> Embeddings:
    """Return vectors sent by ``halfvec_send``: dimension and a zero as int16, then float16, all big-endian."""
    rows = np.frombuffer(data, dtype=">f2").reshape(count, -1)
    return rows[:, 2:].astype(np.float32)


def embeddings(session: Session, role: EmbeddingRole, *, spec_id: str) -> tuple[list[int], Embeddings]:
    """Return the ids of all live images with a vector under a model, ascending, and the vectors, (N, D) float32."""
    table = TABLES[role]
    rows = session.execute(_live(role, spec_id, table.image_id, table.vector).order_by(table.image_id)).all()
    return [row[0] for row in rows], _stack(row[1] for row in rows)


def _live(role: EmbeddingRole, spec_id: str, *columns: Any) -> sa.Select[Any]:
    table = TABLES[role]
    join = sa.join(table, Image, Image.id == table.image_id)
    conditions = table.spec_id == spec_literal(spec_id), Image.cleared_in.is_(None)
    return sa.select(*columns).select_from(join).where(*conditions)


def spec_literal(spec_id: str) -> sa.ColumnElement[str]:
    """Return a model's id as SQL: no parameter, so that the planner picks partition and index by it. ValueError."""
    if not set(spec_id) <= HEX_DIGITS:
        raise ValueError("a spec_id is lower-case hex")
    return sa.literal_column(f"'{spec_id}'", sa.String)


def _stack(vectors: Iterable[Sequence[float]]) -> Embeddings:
    arrays = [_to_array(vector) for vector in vectors]
    return np.stack(arrays) if arrays else np.empty((0, 0), dtype=np.float32)


def _to_array(vector: Sequence[float]) -> Embeddings:
    return np.asarray(vector, dtype=np.float32)
