"""Vectors: one partition and one HNSW index per model, searched by cosine distance.

The dimension belongs to the model, so the column has none of its own and each expression casts to it; the index is on
that same cast.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from pgvector import HalfVector
from pgvector.sqlalchemy import HALFVEC
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session

from lib.arrays import Embeddings, FloatArray
from lib.storage.image_filters import EVERY_IMAGE, ImageFilter
from lib.storage.tables import ClipEmbedding, Image, ResnetEmbedding
from lib.storage.vector_copy import STAGED, stage_vectors

if TYPE_CHECKING:
    import psycopg

EmbeddingRole: TypeAlias = Literal["resnet", "clip"]
EmbeddingTable: TypeAlias = type[ResnetEmbedding] | type[ClipEmbedding]
HEX_DIGITS = frozenset("0123456789abcdef")
TABLES: dict[EmbeddingRole, EmbeddingTable] = {"resnet": ResnetEmbedding, "clip": ClipEmbedding}
SAMPLE = 400
# The index sorts by inner products, an answer by distances: equal but for rounding, which can swap close neighbours.
_OUT_OF_ORDER = 16


@dataclass(frozen=True)
class Neighbor:
    """An image near the query; ``distance`` is the cosine distance, in [0, 2], low is near."""

    image_id: int
    distance: float


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


def nearest(
    session: Session,
    role: EmbeddingRole,
    query: FloatArray,
    *,
    spec_id: str,
    k: int,
    exact: bool = True,
    wanted: ImageFilter = EVERY_IMAGE,
    after: tuple[float, int] | None = None,
) -> list[Neighbor]:
    """Return the ``k`` live images nearest to ``query``, shape (D,), under one model, nearest first; ties by id.

    Only images that ``wanted`` lets through count, and with ``after`` only those behind that (distance, id). ``exact``
    compares every one of them; otherwise the HNSW index answers, with ``ef_search`` raised to cover ``k``. It can miss
    some, and under a filter, or deep in the ranking, it can give up before it has found ``k``.
    """
    # An index scan is asked for some more, to be sorted again.
    count = k if exact else k + _OUT_OF_ORDER
    if not exact:
        session.execute(_INDEX_SCAN, {"ef_search": str(max(100, min(1000, 2 * k)))})
    statement = _nearest(role, spec_id, len(query), exact, wanted, after is not None)
    rows = session.execute(statement, _values(query, count, after))
    found = [Neighbor(int(image_id), float(distance)) for image_id, distance in rows]
    return sorted(found, key=lambda neighbor: (neighbor.distance, neighbor.image_id))[:k]


# What makes the planner read the index in its order, until the transaction ends: it takes an index scan for dearer than
# it is, and would rather compare all rows and sort them for a few hundred.
_INDEX_SCAN = sa.text(
    "SELECT set_config('hnsw.ef_search', :ef_search, true), set_config('hnsw.iterative_scan', 'strict_order', true), "
    "set_config('enable_sort', 'off', true)"
)


def nearest_statement(role: EmbeddingRole, query: FloatArray, *, spec_id: str, k: int) -> sa.Select[int, float]:
    """Return the statement behind :func:`nearest` by the index, for an EXPLAIN."""
    return _nearest(role, spec_id, len(query), False, EVERY_IMAGE, False).params(_values(query, k, None))


def _values(query: FloatArray, count: int, after: tuple[float, int] | None) -> dict[str, Any]:
    distance, image_id = after or (None, None)
    values = {"query": HalfVector(np.asarray(query, dtype=np.float16)), "count": count}
    return values | ({} if after is None else {"after_distance": distance, "after_id": image_id})


@lru_cache(maxsize=64)  # building it takes longer than a search of the index
def _nearest(
    role: EmbeddingRole, spec_id: str, dimension: int, exact: bool, wanted: ImageFilter, paged: bool
) -> sa.Select[int, float]:
    table = TABLES[role]
    distance = sa.cast(table.vector, HALFVEC(dimension)).cosine_distance(
        sa.bindparam("query", type_=HALFVEC(dimension))
    )
    statement = (
        sa.select(table.image_id, distance.label("distance"))
        .join(Image, Image.id == table.image_id)
        .where(table.spec_id == _literal(spec_id), *wanted.conditions())
        # A sum is in no index: all is compared, whatever the planner would like.
        .order_by(distance + 0.0 if exact else distance, table.image_id)
        .limit(sa.bindparam("count", type_=sa.BigInteger))
    )
    if paged:
        begin = sa.bindparam("after_distance", type_=sa.Double), sa.bindparam("after_id", type_=sa.BigInteger)
        statement = statement.where(sa.tuple_(distance, table.image_id) > sa.tuple_(*begin))
    return statement


def cosine_distance(role: EmbeddingRole, query: FloatArray) -> sa.ColumnElement[float]:
    """Return the cosine distance of stored vectors to ``query``, shape (D,), as the index has it."""
    column = sa.cast(TABLES[role].vector, HALFVEC(len(query)))
    found: sa.ColumnElement[float] = column.cosine_distance(HalfVector(np.asarray(query, dtype=np.float16)))
    return found


def distances_of(
    session: Session,
    role: EmbeddingRole,
    query: FloatArray,
    image_ids: NDArray[np.int64],
    *,
    spec_id: str,
    wanted: ImageFilter = EVERY_IMAGE,
) -> dict[int, float]:
    """Return the distance to ``query``, shape (D,), of those of these images that are ``wanted`` and have a vector."""
    table = TABLES[role]
    statement = (
        sa.select(table.image_id, cosine_distance(role, query))
        .join(Image, Image.id == table.image_id)
        .where(
            table.spec_id == _literal(spec_id),
            table.image_id == sa.func.any(sa.literal(image_ids.tolist(), ARRAY(sa.BigInteger))),
            *wanted.conditions(),
        )
    )
    return {int(image_id): float(distance) for image_id, distance in session.execute(statement)}


def sample_distances(
    session: Session, role: EmbeddingRole, query: FloatArray, *, spec_id: str, images: int
) -> FloatArray:
    """Return the distances to ``query``, shape (D,), of about ``SAMPLE`` of the model's live images, (n,) float64.

    Blocks of the table are drawn, the same ones at each call while it does not grow; ``images`` says how many rows it
    has, more or less.
    """
    table, percent = TABLES[role], min(100.0, 100.0 * SAMPLE / max(images, 1))
    drawn = sa.tablesample(table, sa.func.system(percent), name="drawn", seed=sa.literal(1))
    column = sa.cast(drawn.c.vector, HALFVEC(len(query)))
    statement = (
        sa.select(column.cosine_distance(HalfVector(np.asarray(query, dtype=np.float16))))
        .join(Image, Image.id == drawn.c.image_id)
        .where(drawn.c.spec_id == _literal(spec_id), Image.cleared_in.is_(None))
    )
    return np.array(list(session.scalars(statement)), dtype=np.float64)


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
            table.spec_id == _literal(spec_id)
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
    return sa.select(*columns).select_from(join).where(table.spec_id == _literal(spec_id), Image.cleared_in.is_(None))


def _literal(spec_id: str) -> sa.ColumnElement[str]:
    # A literal, not a parameter: the planner picks the partition, hence the index, from it.
    if not set(spec_id) <= HEX_DIGITS:
        raise ValueError("a spec_id is lower-case hex")
    return sa.literal_column(f"'{spec_id}'", sa.String)


def _stack(vectors: Iterable[Sequence[float]]) -> Embeddings:
    arrays = [_to_array(vector) for vector in vectors]
    return np.stack(arrays) if arrays else np.empty((0, 0), dtype=np.float32)


def _to_array(vector: Sequence[float]) -> Embeddings:
    return np.asarray(vector, dtype=np.float32)
