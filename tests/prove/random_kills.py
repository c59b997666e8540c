"""Two pipelines at work on one library, killed at random with their database; a ledger outside says what must be there.

Each round gives both processes the same new pictures in an order of their own. Whatever one of them has told to be in
the library is in the ledger, which is ours alone; whoever dies is started again, as the product's supervisor does.
"""

import multiprocessing
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from lib.images.decoding import Decoder
from lib.library.verification import verify
from lib.models.registry import model_spec
from lib.settings import Settings
from lib.storage.embedded import EmbeddedServer
from lib.storage.embeddings import embeddings
from lib.storage.library import Library, open_library
from lib.storage.neighbors import nearest
from tests.prove import victims
from tests.prove.pipeline_worker import ROLE, Prepared, prepared, work
from tests.prove.table import Results

PICTURES, QUERIES, K = 60, 20, 10
WORKERS = ("first", "second")
POSTGRES = ("Postgres", victims.WHOLE_POSTGRES)
KILLS_A_ROUND: Sequence[str] = (*WORKERS, "first", *POSTGRES)
LONGEST_PAUSE_S = 0.5  # between two kills: a round of 60 pictures takes some seconds
ROUND_LIMIT_S = 300.0
WIDE = 1000  # of the index: pgvector's limit
HALF_PRECISION = 1e-3
DOUBLED = {
    "the row": "SELECT sha256 FROM images GROUP BY 1 HAVING count(*) > 1",
    "the URL": "SELECT url FROM image_urls GROUP BY 1 HAVING count(*) > 1",
    "the page": "SELECT url FROM pages GROUP BY 1 HAVING count(*) > 1",
    "the sighting": "SELECT image_url_id FROM sightings GROUP BY 1 HAVING count(*) > 1",
    "the vector": "SELECT image_id FROM resnet_embeddings GROUP BY 1 HAVING count(*) > 1",
}
LEDGER = "SELECT status, count(*) FROM stage_results GROUP BY 1"
Told = tuple[str, int]  # a picture's SHA-256, and the id of its row: one that was lost and came again has another
Say = Callable[[str], None]


def random_kills(results: Results, tries: int, seed: int, say: Say) -> None:
    """Play a round a try, each with five kills, two of them of the database."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([work.__module__])
    with _home() as home, Decoder() as decoder, EmbeddedServer.start(home) as server:
        pictures: list[Prepared] = []
        for number in range(tries):
            with tempfile.TemporaryDirectory() as folder:
                pictures += prepared(decoder, Path(folder), number, PICTURES)
            choice = random.Random(f"{seed} {number}")
            kills = _Round(context, home, server, pictures[-PICTURES:], choice).play()
            with open_library(Settings(home=home, profile="packaged")) as library:
                _judge(results, library, pictures, kills, say)
        with open_library(Settings(home=home, profile="packaged")) as library:
            _compare_searches(results, library, random.Random(seed), say)


@contextmanager
def _home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vitrine-kills-") as folder:
        Path(folder).chmod(0o755)  # the database server's own user passes through
        yield Path(folder)


@dataclass
class _Pipeline:
    """One of the two processes, and what it has told so far in all its lives."""

    process: ForkServerProcess
    told: Connection

    @classmethod
    def start(cls, context: ForkServerContext, home: Path, pictures: Sequence[Prepared]) -> "_Pipeline":
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(home, pictures, sender), daemon=True)
        process.start()
        sender.close()
        return cls(process, receiver)

    def heard(self) -> set[Told]:
        """Return what it has told since the last time; also what it told before it died."""
        found = set()
        try:
            while self.told.poll():
                found.add(self.told.recv())
        except (EOFError, OSError):
            pass
        return found


@dataclass
class Kills:
    """What died in a round, and what the dead and the living had told to be in the library."""

    killed: Counter[str] = field(default_factory=Counter)
    acknowledged: set[Told] = field(default_factory=set)
    slowest_start_s: float = 0.0
    is_late: bool = False


class _Round:
    """Both pipelines over one set of pictures, until each has seen all of it."""

    def __init__(
        self,
        context: ForkServerContext,
        home: Path,
        server: EmbeddedServer,
        pictures: Sequence[Prepared],
        choice: random.Random,
    ) -> None:
        self._context, self._home, self._server, self._choice = context, home, server, choice
        self._orders = {name: choice.sample(pictures, len(pictures)) for name in WORKERS}
        self._pipelines = {name: self._start(name) for name in WORKERS}
        self._kills = Kills()

    def play(self) -> Kills:
        """Kill at random moments, then let both come to their end."""
        doomed = self._choice.sample(KILLS_A_ROUND, len(KILLS_A_ROUND))
        deadline = time.monotonic() + ROUND_LIMIT_S
        for victim in doomed:
            time.sleep(self._choice.uniform(0, LONGEST_PAUSE_S))
            self._kill(victim)
            self._listen()
        while any(pipeline.process.is_alive() for pipeline in self._pipelines.values()):
            if time.monotonic() > deadline:
                self._kills.is_late = True
                break
            self._listen()
            time.sleep(0.02)
        self._listen()
        for pipeline in self._pipelines.values():
            pipeline.process.kill()
            pipeline.process.join()
        return self._kills

    def _start(self, name: str) -> _Pipeline:
        return _Pipeline.start(self._context, self._home, self._orders[name])

    def _listen(self) -> None:
        for pipeline in self._pipelines.values():
            self._kills.acknowledged |= pipeline.heard()

    def _kill(self, victim: str) -> None:
        if victim in POSTGRES:
            if victims.kill(self._home, victim, self._choice):
                self._kills.killed[victim] += 1
            began = time.monotonic()
            self._server.ensure_running()
            self._kills.slowest_start_s = max(self._kills.slowest_start_s, time.monotonic() - began)
            return
        pipeline = self._pipelines[victim]
        if pipeline.process.is_alive():
            self._kills.killed["a pipeline"] += 1
        pipeline.process.kill()
        pipeline.process.join()
        self._kills.acknowledged |= pipeline.heard()
        self._pipelines[victim] = self._start(victim)


def _judge(results: Results, library: Library, pictures: Sequence[Prepared], kills: Kills, say: Say) -> None:
    troubles = list(_troubles(library, {picture.sha256: picture for picture in pictures}, kills))
    for victim, count in kills.killed.items():
        name = f"kill -9 of {victim} under load: what was told is there, once and whole"
        results.count(name, count, failed=bool(troubles))
    results.count("two pipelines at once come to the same end", failed=bool(troubles))
    say(
        f"killed {dict(kills.killed)}, {len(kills.acknowledged)} of {PICTURES} pictures told, "
        f"database back within {kills.slowest_start_s:.1f} s"
    )
    for trouble in troubles:
        say(trouble)


def _troubles(library: Library, pictures: Mapping[str, Prepared], kills: Kills) -> Iterator[str]:
    if kills.is_late:
        yield f"the pipelines were not done after {ROUND_LIMIT_S:.0f} s"
    with library.database.session() as session:
        present = {(sha256, image_id) for sha256, image_id in session.execute(sa.text("SELECT sha256, id FROM images"))}
        yield from (
            f"image {image_id} was told to be there and is lost" for _, image_id in kills.acknowledged - present
        )
        yield from (f"{sha256} never came" for sha256 in pictures.keys() - dict(present).keys())
        yield from _doubled(session)
        yield from _wrong_vectors(session, pictures)
        stages = session.execute(sa.text(LEDGER)).all()
        if stages != [("ok", len(pictures))]:
            yield f"the ledger of results: {stages}"
    found = verify(library)
    yield from (f"{digest} has other bytes" for digest in found.damaged)
    yield from (f"the {one.kind} of image {one.row_id} is missing" for one in found.missing)
    yield from (f"image {image_id} has no name in library/" for image_id in found.nameless)


def _doubled(session: Session) -> Iterator[str]:
    for what, query in DOUBLED.items():
        yield from (f"{what} of {name} is there twice" for name in session.scalars(sa.text(query)))


def _wrong_vectors(session: Session, pictures: Mapping[str, Prepared]) -> Iterator[str]:
    ids, vectors = embeddings(session, ROLE, spec_id=model_spec(ROLE, "packaged").spec_id)
    hashes = dict(session.execute(sa.text("SELECT id, sha256 FROM images")).all())
    if len(ids) != len(pictures):
        yield f"{len(ids)} vectors of {len(pictures)} pictures"
    for image_id, vector in zip(ids, vectors, strict=True):
        if np.abs(vector - pictures[hashes[image_id]].vector).max() > HALF_PRECISION:
            yield f"the vector of image {image_id} is another's"


def _compare_searches(results: Results, library: Library, choice: random.Random, say: Say) -> None:
    spec_id = model_spec(ROLE, "packaged").spec_id
    with library.database.session() as session:
        _, vectors = embeddings(session, ROLE, spec_id=spec_id)
        for vector in choice.sample(list(vectors), QUERIES):
            exact, index = (
                nearest(session, ROLE, vector, spec_id=spec_id, k=K, exact=is_exact, ef_search=WIDE)
                for is_exact in (True, False)
            )
            failed = [near.image_id for near in exact] != [near.image_id for near in index]
            results.count("the index finds what comparing all finds, after the kills", failed=failed)
            if failed:
                say(f"exact {exact}, index {index}")
