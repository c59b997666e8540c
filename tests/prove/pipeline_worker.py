"""Processes that do to the library what a pipeline and the collector of garbage do, over and over, until killed.

A pipeline takes pictures in and gives them vectors through the product's own code; only the encoder is ours, and the
pictures were decoded beforehand, so that a start costs a fork and a connection.
"""

import hashlib
import io
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from lib.arrays import Embeddings
from lib.errors import Busy, StorageError
from lib.images.decoding import DecodedImage, Decoder
from lib.images.working_copy import read_working_copy
from lib.library.garbage import collect
from lib.scraping.site import Site
from lib.settings import Settings
from lib.storage import ledger, sources
from lib.storage.embeddings import put_embeddings
from lib.storage.intake import Origin, take_in
from lib.storage.ledger import Claim
from lib.storage.library import Library, open_library
from orchestration.partitions import BUCKET_COUNT
from orchestration.stage import Picture, Stage, run_stage

Done = TypeVar("Done")
ROLE, DIMENSION = "resnet", 512
MAX_BYTES = 1 << 20
AT_ONCE = 6  # pictures taken in before a stage runs
PAUSE_S = 0.05  # before a library that is away is asked again
GRACE_S = 5.0  # from storing a file to writing its row; an hour in the product
SITE = Site(name="random-kills", start_urls=("https://pictures.example/",))


@dataclass(frozen=True)
class Prepared:
    """A picture as a crawl hands it over: its bytes, decoded, and where it was found."""

    url: str
    data: bytes
    decoded: DecodedImage

    @property
    def sha256(self) -> str:
        """Of the bytes, in hex."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def vector(self) -> NDArray[np.float32]:
        """The vector that the encoder gives it."""
        return encoded(read_working_copy(self.decoded.working_copy))


def prepared(decoder: Decoder, folder: Path, number: int, count: int) -> list[Prepared]:
    """Return ``count`` pictures of the round ``number``, none like another."""
    pictures = []
    for index in range(count):
        sink, path = io.BytesIO(), folder / "picture.png"
        pixels = np.random.default_rng([number, index]).integers(0, 256, (24, 24, 3), dtype=np.uint8)
        PillowImage.fromarray(pixels).save(sink, "PNG")
        path.write_bytes(sink.getvalue())
        url = f"{SITE.start_urls[0]}{number}/{index}.png"
        pictures.append(Prepared(url, sink.getvalue(), decoder.decode(path)))
    return pictures


def encoded(rgba: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the unit vector of a picture, shape (512,): random, but always the same for the same pixels."""
    seed = int.from_bytes(hashlib.sha256(rgba.tobytes()).digest()[:8])
    vector = np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
    return vector / np.linalg.norm(vector)


class Encoder:
    """A model at work, as `orchestration.stage` wants it."""

    def __init__(self, spec_id: str) -> None:
        self._spec_id = spec_id

    def compute(self, pictures: Sequence[Picture]) -> Embeddings:
        """Return unit vectors."""
        return np.stack([encoded(picture.rgba) for picture in pictures])

    def store(self, session: Session, claims: Sequence[Claim], results: Sequence[Any]) -> None:
        """Write the rows."""
        put_embeddings(session, ROLE, self._spec_id, [claim.image_id for claim in claims], np.stack(results))


STAGE = Stage[Any](ROLE, 4, lambda _library, spec: Encoder(spec.spec_id))


def settings_of(home: Path) -> Settings:
    """Return the settings of the library at ``home``."""
    return Settings(home=home, profile="packaged", DATABASE_URL=None)


def work(home: Path, pictures: Sequence[Prepared], told: Connection) -> None:
    """Take all ``pictures`` in and derive them; tell (SHA-256, id of its row) of each once it is in the library."""
    with ExitStack() as stack:
        library = _insistently(lambda: stack.enter_context(open_library(settings_of(home))))
        for start in range(0, len(pictures), AT_ONCE):
            for picture in pictures[start : start + AT_ONCE]:
                told.send((picture.sha256, _insistently(partial(_take_in, library, picture))))
            _insistently(partial(derive, library))


def collect_garbage(home: Path, told: Connection) -> None:
    """Collect garbage without end, and the trash at once; tell how many objects went into it."""
    with ExitStack() as stack:
        library = _insistently(lambda: stack.enter_context(open_library(settings_of(home))))
        while True:
            if collected := _insistently(partial(collect, library, grace_s=GRACE_S, kept_s=0)).orphans:
                told.send(collected)
            time.sleep(PAUSE_S)


def _insistently(step: Callable[[], Done]) -> Done:
    """Repeat a step while the database is away, as a run of the product is started again."""
    while True:
        try:
            return step()
        except (StorageError, SQLAlchemyError, Busy):
            time.sleep(PAUSE_S)


def _take_in(library: Library, picture: Prepared) -> int:
    page = sources.PageVisit(f"{picture.url}.html", "ok", images=[sources.SeenImage(picture.url, "", 0)])
    with library.database.session() as session:
        source_id = sources.upsert_source(session, SITE.name, SITE.model_dump(mode="json"), enabled=True)
        sources.record_page(session, source_id, page)
        session.commit()
    with library.objects.stage(MAX_BYTES) as staged:
        staged.write(picture.data)
        origin = Origin(SITE.name, picture.url, Path(picture.url).name)
        image, _ = take_in(library, staged, picture.decoded, origin)
    return image.id


def derive(library: Library) -> None:
    """Give every picture its vector, in one run."""
    run_id = uuid.uuid4().hex
    with ledger.running(library.database, run_id):
        run_stage(library, STAGE, run_id=run_id, buckets=range(BUCKET_COUNT), force=False)
