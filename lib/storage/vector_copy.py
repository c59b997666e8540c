"""Vectors on their way into the database: a batch goes by COPY, in PostgreSQL's binary form, as one array.

Belongs here: the stream, and the connection's own table that it fills. COPY itself knows no "on conflict", so the rows
go on from there by an INSERT. The stream is described in PostgreSQL's documentation of COPY ("Binary Format"); a
halfvec is its dimension, 16 unused bits, then its values, as pgvector's ``halfvec_recv`` reads them.
"""

from collections.abc import Sequence

import numpy as np
import psycopg
import sqlalchemy as sa
from pgvector.sqlalchemy import HALFVEC
from sqlalchemy.orm import Session

from lib.arrays import FloatArray
from lib.errors import DatabaseUnavailable

STAGED = sa.table("staged_vectors", sa.column("image_id", sa.BigInteger), sa.column("vector", HALFVEC))

_CREATE = """
CREATE TEMPORARY TABLE IF NOT EXISTS staged_vectors (image_id bigint NOT NULL, vector halfvec NOT NULL)
ON COMMIT DELETE ROWS
"""
_COPY = "COPY staged_vectors (image_id, vector) FROM STDIN WITH (FORMAT BINARY)"
_STREAM_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # no flags, no extension
_STREAM_TAIL = b"\xff\xff"


def stage_vectors(session: Session, image_ids: Sequence[int], vectors: FloatArray) -> None:
    """Fill ``STAGED`` with these vectors, shape (N, D), and nothing else, until the transaction ends.

    Raises DatabaseUnavailable when the connection is lost.
    """
    session.execute(sa.text(_CREATE))
    session.execute(sa.delete(STAGED))  # an earlier batch of the same transaction
    cursor = session.connection().connection.cursor()
    try:
        with cursor.copy(_COPY) as copy:
            copy.write(copy_stream(image_ids, vectors))
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(f"the database went away: {error}") from error
    finally:
        cursor.close()


def copy_stream(image_ids: Sequence[int], vectors: FloatArray) -> bytes:
    """Return the whole stream of a binary COPY of (image_id bigint, vector halfvec) rows.

    >>> copy_stream([7], np.array([[1.0]]))[19:-2].hex(" ", 2)
    '0002 0000 0008 0000 0000 0000 0007 0000 0006 0001 0000 3c00'
    """
    count, dimension = vectors.shape
    rows = np.zeros(count, _row_type(dimension))
    rows["fields"], rows["id_bytes"], rows["vector_bytes"] = 2, 8, 4 + 2 * dimension
    rows["image_id"], rows["dimension"], rows["vector"] = image_ids, dimension, vectors
    return _STREAM_HEAD + rows.tobytes() + _STREAM_TAIL


def _row_type(dimension: int) -> np.dtype[np.void]:
    return np.dtype(
        [
            ("fields", ">i2"),
            ("id_bytes", ">i4"),
            ("image_id", ">i8"),
            ("vector_bytes", ">i4"),
            ("dimension", ">i2"),
            ("unused", ">i2"),
            ("vector", ">f2", (dimension,)),
        ]
    )
