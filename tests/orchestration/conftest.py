"""A library to run stages on, and stages small enough to see through."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from sqlalchemy.orm import Session

from lib.arrays import Embeddings
from lib.errors import UndecodableImage
from lib.settings import Settings
from lib.storage.database import Database, DatabaseUrls
from lib.storage.embeddings import put_embeddings
from lib.storage.ledger import Claim
from lib.storage.library import Library
from lib.storage.objects import ObjectStore
from orchestration.stage import Picture, Stage
from tests.orchestration.museum import Museum

RED = (255, 0, 0)
DIMENSION = 512


@dataclass
class CountingWorker:
    """Our own small encoder: a vector of the mean colour. It refuses red pictures, and counts what it is given."""

    spec_id: str
    seen: list[int]
    refuses: tuple[int, int, int] | None = None
    cannot_store: int | None = None

    def compute(self, pictures: Sequence[Picture]) -> Embeddings:
        """Return unit vectors; raise for the colour that it refuses, which fails the whole batch."""
        self.seen.extend(picture.claim.image_id for picture in pictures)
        for picture in pictures:
            if tuple(picture.rgba[0, 0, :3]) == self.refuses:
                raise UndecodableImage("corrupt", "red")
        vectors = np.zeros((len(pictures), DIMENSION), dtype=np.float32)
        vectors[:, :3] = [picture.rgba[..., :3].mean(axis=(0, 1)) + 1 for picture in pictures]
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def store(self, session: Session, claims: Sequence[Claim], results: Sequence[Any]) -> None:
        """Write the rows, and refuse the image whose result is not to be stored when others are written already."""
        put_embeddings(session, "clip", self.spec_id, [claim.image_id for claim in claims], np.stack(results))
        if self.cannot_store in [claim.image_id for claim in claims]:
            raise UndecodableImage("not_finite", "a vector that is none")


@dataclass
class CountingStage:
    """A stage over :class:`CountingWorker`; ``seen`` lists every image that reached a worker."""

    refuses: tuple[int, int, int] | None = None
    cannot_store: int | None = None
    seen: list[int] = field(default_factory=list)

    @property
    def stage(self) -> Stage[Any]:
        """The stage itself."""
        return Stage(
            "clip",
            4,
            lambda _library, spec: CountingWorker(spec.spec_id, self.seen, self.refuses, self.cannot_store),
        )


@pytest.fixture
def library(server_url: str, database: Database, objects: ObjectStore) -> Library:
    """An open, empty library."""
    return Library(Settings(home=objects.home), database, objects, DatabaseUrls(server_url, dagster=""))


@pytest.fixture
def museum(library: Library) -> Museum:
    """The museum and an empty library."""
    return Museum(library)
