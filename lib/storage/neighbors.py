"""Nearness in SQL: which vectors of a model lie nearest to a query, and how far some or all of them lie.

Belongs here: reading distances. Storing vectors, counting and copying them is in embeddings.py.

The index is searched in less than a millisecond, so what stands around it is kept small: a statement is compiled once
and then sent as the same text, which the driver and the server prepare, and the query goes in binary.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Self, TypeVarTuple

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from pgvector import HalfVector
from pgvector.sqlalchemy import HALFVEC
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import psycopg as driver
from sqlalchemy.orm import Session

from lib.arrays import FloatArray
from lib.storage.embeddings import TABLES, EmbeddingRole, spec_literal
from lib.storage.image_filters import EVERY_IMAGE, ImageFilter
from lib.storage.tables import Image

Columns = TypeVarTuple("Columns")
SAMPLE = 400
WIDEST = 1000  # pgvector's limit of hnsw.ef_search
# The index sorts by inner products, an answer by distances: equal but for rounding, which can swap close neighbours.
OUT_OF_ORDER = 16
DIALECT: sa.Dialect = driver.dialect()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Neighbor:
    """An image near the query; ``distance`` is the cosine distance, in [0, 2], low is near."""

    image_id: int
    distance: float


@dataclass(frozen=True, eq=False)
class Statement:
    """SQL as the driver takes it, and the values of it that do not change."""

    text: str
    values: Mapping[str, Any]

    @classmethod
    def of(cls, statement: sa.Select[*tuple[Any, ...]]) -> Self:
        """Return it compiled."""
        compiled = statement.compile(dialect=DIALECT, compile_kwargs={"render_postcompile": True})
        return cls(str(compiled), compiled.params)

    def rows(self, session: Session, query: FloatArray, **values: Any) -> list[Any]:
        """Return the rows for a query, (D,), and the values left open."""
        given = {**self.values, "query": HalfVector(np.asarray(query, dtype=np.float16)), **values}
        return list(session.connection().exec_driver_sql(self.text, given).all())


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
    ef_search: int | None = None,
) -> list[Neighbor]:
    """Return the ``k`` live images nearest to ``query``, shape (D,), under one model, nearest first; ties by id.

    Only images that ``wanted`` lets through count, and with ``after`` only those behind that (distance, id). ``exact``
    compares every one of them; otherwise the HNSW index answers, ``ef_search`` candidates wide (at least what ``k``
    needs; 100 unless given). It can miss some, and under a filter, or deep in the ranking, it can give up before it has
    found ``k``.
    """
    # An index scan is asked for some more, to be sorted again.
    count = k if exact else k + OUT_OF_ORDER
    if not exact:
        width = max(100, 2 * k) if ef_search is None else ef_search
        # One more than is read: for a row beyond its width the index would go through the graph again.
        session.connection().exec_driver_sql(_INDEX_SCAN, (str(min(WIDEST, max(width, count + 1))),))
    shape, values = _opened(wanted)
    if after is not None:
        values |= {"after_distance": after[0], "after_id": after[1]}
    statement = nearest_statement(role, spec_id, len(query), count, exact, shape, after is not None)
    rows = sorted((distance, image_id) for image_id, distance in statement.rows(session, query, **values))
    return [Neighbor(image_id, distance) for distance, image_id in rows[:k]]


# What makes the planner read the index in its order, until the transaction ends: it takes an index scan for dearer than
# it is, and would rather compare all rows and sort them for a few hundred.
_INDEX_SCAN = (
    "SELECT set_config('hnsw.ef_search', %s, true), set_config('hnsw.iterative_scan', 'strict_order', true), "
    "set_config('enable_sort', 'off', true)"
)


@dataclass(frozen=True)
class _Shape:
    """A filter but for the single images that it leaves out: these change with each search, the rest seldom."""

    wanted: ImageFilter = EVERY_IMAGE
    leaves_out: bool = False

    def applied(self, statement: sa.Select[*Columns], image_id: Any, *, to_all: bool) -> sa.Select[*Columns]:
        """Return a statement about images restricted to those that the filter lets through.

        ``to_all`` says that every row is read: then it is looked for among the cleared images, of which there are few,
        rather than among the live ones. Each vector has its image (a foreign key), so that is the same.
        """
        if self.leaves_out:
            statement = statement.where(image_id != sa.all_(_parameter("left_out", ARRAY(sa.BigInteger))))
        if to_all and self.wanted == EVERY_IMAGE:
            return statement.where(~sa.exists().where(Image.id == image_id, Image.cleared_in.is_not(None)))
        return statement.join(Image, Image.id == image_id).where(*self.wanted.conditions())


def _opened(wanted: ImageFilter) -> tuple[_Shape, dict[str, Any]]:
    """Return a filter's shape and the values that it leaves open."""
    if not wanted.left_out:
        return _Shape(wanted), {}
    return _Shape(replace(wanted, left_out=()), leaves_out=True), {"left_out": list(wanted.left_out)}


@lru_cache(maxsize=256)  # compiling takes longer than a search of the index
def nearest_statement(
    role: EmbeddingRole,
    spec_id: str,
    dimension: int,
    count: int,
    exact: bool = False,
    shape: _Shape = _Shape(),
    paged: bool = False,
) -> Statement:
    """Return the statement behind :func:`nearest`."""
    table = TABLES[role]
    distance = _distance(table.vector, dimension)
    statement = (
        sa.select(table.image_id, distance.label("distance"))
        .where(table.spec_id == spec_literal(spec_id))
        # A sum is in no index: all is compared, whatever the planner would like.
        .order_by(distance + 0.0 if exact else distance, table.image_id)
        # Not a parameter: a plan that is made for any limit costs so much that each search would be planned anew.
        .limit(sa.literal_column(str(count)))
    )
    if paged:
        begin = _parameter("after_distance", sa.Double), _parameter("after_id", sa.BigInteger)
        statement = statement.where(sa.tuple_(distance, table.image_id) > sa.tuple_(*begin))
    return Statement.of(shape.applied(statement, table.image_id, to_all=exact))


def _distance(column: Any, dimension: int) -> sa.ColumnElement[float]:
    """Return the cosine distance of a column of vectors to the query, as the index has it."""
    found: sa.ColumnElement[float] = sa.cast(column, HALFVEC(dimension)).cosine_distance(
        _parameter("query", sa.types.NullType)
    )
    return found


def _parameter(name: str, of_type: Any) -> sa.BindParameter[Any]:
    return sa.bindparam(name, type_=of_type, required=False)


def distances(
    session: Session,
    role: EmbeddingRole,
    query: FloatArray,
    *,
    spec_id: str,
    wanted: ImageFilter = EVERY_IMAGE,
    among: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int64], FloatArray]:
    """Return ids, (n,), and distances to ``query``, (n,) float64, of all live images that are ``wanted``, in no order.

    With ``among`` only of those of them that have these ids.
    """
    shape, values = _opened(wanted)
    if among is not None:
        values |= {"among": among.tolist()}
    statement = _distances(role, spec_id, len(query), shape, among is not None)
    ((ids, found),) = statement.rows(session, query, **values)
    return _array(ids, ">i8").astype(np.int64), _array(found, ">f8").astype(np.float64)


@lru_cache(maxsize=64)
def _distances(role: EmbeddingRole, spec_id: str, dimension: int, shape: _Shape, some: bool) -> Statement:
    table = TABLES[role]
    columns = table.image_id, _distance(table.vector, dimension).label("distance")
    rows = shape.applied(
        sa.select(*columns).where(table.spec_id == spec_literal(spec_id)), table.image_id, to_all=not some
    )
    if some:
        rows = rows.where(table.image_id == sa.any_(_parameter("among", ARRAY(sa.BigInteger))))
    each = rows.subquery()
    # As two arrays in binary: a hundred thousand rows would take longer to unpack than to compare.
    arrays = [sa.func.array_send(sa.func.array_agg(column)) for column in (each.c.image_id, each.c.distance)]
    return Statement.of(sa.select(*arrays))


def _array(sent: bytes | None, kind: str) -> NDArray[Any]:
    """Return what ``array_send`` wrote of eight-byte elements: a head of 20 bytes, then size and value of each."""
    if sent is None:
        return np.empty(0, kind)
    return np.frombuffer(sent, [("size", ">i4"), ("value", kind)], offset=20)["value"]


def sample_distances(
    session: Session, role: EmbeddingRole, query: FloatArray, *, spec_id: str, images: int
) -> FloatArray:
    """Return the distances to ``query``, shape (D,), of about ``SAMPLE`` of the model's live images, (n,) float64.

    Blocks of the table are drawn, the same ones at each call while it does not grow; ``images`` says how many rows it
    has, more or less.
    """
    percent = min(100.0, 100.0 * SAMPLE / max(images, 1))
    rows = _sample(role, spec_id, len(query)).rows(session, query, percent=percent)
    return np.array([distance for (distance,) in rows], dtype=np.float64)


@lru_cache(maxsize=16)
def _sample(role: EmbeddingRole, spec_id: str, dimension: int) -> Statement:
    percent = sa.func.system(_parameter("percent", sa.Double))
    drawn = sa.tablesample(TABLES[role], percent, name="drawn", seed=sa.literal_column("1"))
    return Statement.of(
        sa.select(_distance(drawn.c.vector, dimension))
        .join(Image, Image.id == drawn.c.image_id)
        .where(drawn.c.spec_id == spec_literal(spec_id), Image.cleared_in.is_(None))
    )
