"""A run of a stage that dies of something: ``python -m tests.orchestration.killer URL HOME RUN_ID [WHAT]``.

``picture`` (the default): one of the pictures does; ``loading``: loading the model does.
"""

import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from lib.arrays import Embeddings
from lib.models.registry import ModelSpec
from lib.settings import Settings
from lib.storage import ledger
from lib.storage.database import Database, DatabaseUrls
from lib.storage.library import Library
from lib.storage.objects import ObjectStore
from orchestration.partitions import BUCKET_COUNT
from orchestration.stage import Picture, Stage, run_stage
from tests.orchestration.conftest import RED, CountingWorker


class KillerWorker(CountingWorker):
    """Dies of red pictures, as a decoder or a driver with a fault does."""

    def compute(self, pictures: Sequence[Picture]) -> Embeddings:
        """Return vectors, or kill the process."""
        if any(tuple(picture.rgba[0, 0, :3]) == RED for picture in pictures):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().compute(pictures)


def load(_library: Library, spec: ModelSpec, *, what: str) -> KillerWorker:
    """Return the worker, or kill the process."""
    if what == "loading":
        os.kill(os.getpid(), signal.SIGKILL)
    return KillerWorker(spec.spec_id, [])


def main(url: str, home: str, run_id: str, what: str = "picture") -> None:
    """Run the stage once."""
    library = Library(Settings(home=Path(home)), Database(url), ObjectStore(Path(home)), DatabaseUrls(url, dagster=""))
    stage = Stage("clip", 4, partial(load, what=what))
    with ledger.running(library.database, run_id):
        run_stage(library, stage, run_id=run_id, buckets=range(BUCKET_COUNT), force=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
