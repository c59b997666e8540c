"""Opening a library for the first time."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import sqlalchemy as sa

from lib.storage.database import Database
from lib.storage.library import use_profile_if_new
from lib.storage.tables import Model

OPENERS = 6
PARTITIONS = (
    "SELECT inhrelid::regclass::text FROM pg_inherits "
    "WHERE inhparent IN ('resnet_embeddings'::regclass, 'clip_embeddings'::regclass)"
)


def test_processes_that_open_a_new_library_at_once_register_its_models_once(
    database: Database, server_url: str
) -> None:
    with database.session() as session:
        session.execute(sa.text("TRUNCATE models CASCADE"))
        for (name,) in session.execute(sa.text(PARTITIONS)).all():
            session.execute(sa.text(f"DROP TABLE {name}"))
        session.commit()
    start = Barrier(OPENERS)

    def open_it(_number: int) -> None:
        own = Database(server_url)
        start.wait()
        use_profile_if_new(own, "packaged")
        own.dispose()

    with ThreadPoolExecutor(OPENERS) as pool:
        list(pool.map(open_it, range(OPENERS)))
    with database.session() as session:
        roles = list(session.scalars(sa.select(Model.role).where(Model.state == "active").order_by(Model.role)))
    assert roles == ["clip", "color", "matting", "resnet"]
