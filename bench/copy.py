"""Storing a batch of vectors, against pgvector-python's own insert.

Peer: pgvector-python's type registered with psycopg, and ``executemany`` over INSERT ... ON CONFLICT, which psycopg
sends as one pipeline; and INSERT row by row, as its examples show. Ours: ``put_embeddings``. The same connection and
table; the processor time of client and server together. Without the HNSW index, whose upkeep costs both sides the
same and far more than either, and with it. Goal: 1.5x without it.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from pgvector import HalfVector
from pgvector.psycopg import register_vector

from bench.paired import compare, print_machine, quick
from lib.arrays import FloatArray
from lib.models.registry import CLIP_LAION2B
from lib.settings import Settings
from lib.storage import models
from lib.storage.database import Database, database_urls, prepare
from lib.storage.embeddings import put_embeddings
from lib.storage.tables import Image

GOAL = 1.5
SPEC_ID = CLIP_LAION2B.spec_id
UPSERT = """
INSERT INTO clip_embeddings (spec_id, image_id, vector) VALUES (%s, %s, %s)
ON CONFLICT (spec_id, image_id) DO UPDATE SET vector = excluded.vector
"""


@contextmanager
def database_with_images(count: int) -> Iterator[Database]:
    """Yield a library database that has so many images and no vectors."""
    home = Path(tempfile.mkdtemp(prefix="vitrine-bench-"))
    home.chmod(0o755)  # as root, the server runs as a user of its own
    with database_urls(Settings(home=home)) as urls:
        prepare(urls.library)
        database = Database(urls.library, connections=1)
        with database.session() as session:
            models.add_model(session, CLIP_LAION2B)
            session.execute(sa.insert(Image), [_image(index) for index in range(count)])
            session.commit()
        yield database
        database.dispose()
    shutil.rmtree(home)


def _image(index: int) -> dict[str, Any]:
    digest = f"{index:064x}"
    return {
        "sha256": digest, "first_byte": 0, "format": "JPEG", "byte_count": 1, "width_px": 1, "height_px": 1,
        "has_alpha": False, "phash": "0" * 64, "working_copy_sha256": digest, "img_name": "x", "img_path": digest,
    }  # fmt: skip


def by_executemany(database: Database, ids: list[int], vectors: FloatArray) -> None:
    """Insert through one pipeline."""
    with database.session() as session:
        cursor = _pgvector_cursor(session)
        cursor.executemany(
            UPSERT, [(SPEC_ID, image_id, HalfVector(vector)) for image_id, vector in zip(ids, vectors, strict=True)]
        )
        session.commit()


def by_rows(database: Database, ids: list[int], vectors: FloatArray) -> None:
    """Insert row by row."""
    with database.session() as session:
        cursor = _pgvector_cursor(session)
        for image_id, vector in zip(ids, vectors, strict=True):
            cursor.execute(UPSERT, (SPEC_ID, image_id, HalfVector(vector)))
        session.commit()


def by_copy(database: Database, ids: list[int], vectors: FloatArray) -> None:
    """Insert as the stages do."""
    with database.session() as session:
        put_embeddings(session, "clip", SPEC_ID, ids, vectors)
        session.commit()


def _pgvector_cursor(session: sa.orm.Session) -> Any:
    connection = session.connection().connection
    register_vector(connection.driver_connection)
    return connection.cursor()


def _emptied(database: Database, action: Any, *arguments: Any) -> Any:
    def run() -> None:
        with database.session() as session:
            session.execute(sa.text("TRUNCATE clip_embeddings"))
            session.commit()
        action(database, *arguments)

    return run


def main() -> None:
    """Print the ratios."""
    rounds = 3 if quick() else 9
    print_machine()
    with database_with_images(2000) as database:
        with database.session() as session:
            ids = list(session.scalars(sa.select(Image.id).order_by(Image.id)))
            pid = session.scalar(sa.select(sa.func.pg_backend_pid()))
        vectors = np.random.default_rng(0).standard_normal((len(ids), 512)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

        def ratio(name: str, peer: Any, count: int, goal: float | None) -> None:
            sides = [_emptied(database, action, ids[:count], vectors[:count]) for action in (peer, by_copy)]
            compare(name, *sides, items=count, rounds=rounds, others=lambda: [pid or 0]).report(goal)

        ratio("vectors, with the index, 200, executemany", by_executemany, 200, None)
        with database.session() as session:
            session.execute(sa.text(f"DROP INDEX ix_clip_embeddings_{SPEC_ID}_hnsw"))
            session.commit()
        ratio("vectors, no index, 2000, executemany", by_executemany, 2000, GOAL)
        ratio("vectors, no index, 2000, row by row", by_rows, 2000, GOAL)


if __name__ == "__main__":
    main()
