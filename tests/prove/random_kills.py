"""Two pipelines at work on one library, the API and the collector of garbage beside them, all killed at random.

Each round gives both pipelines the same new pictures in an order of their own; files of those pictures turn up
meanwhile as garbage that is long overdue. Whatever a process has told to be in the library, or the API to be deleted,
is in a ledger that is ours alone; whoever dies is started again, as the product's supervisor does.
"""

import hashlib
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from lib.cli.ports import free_port
from lib.images.decoding import Decoder
from lib.library.verification import verify
from lib.models.registry import model_spec
from lib.settings import Settings
from lib.storage import ledger
from lib.storage.embedded import EmbeddedServer
from lib.storage.embeddings import embeddings
from lib.storage.library import Library, open_library
from lib.storage.neighbors import nearest
from lib.storage.objects import ObjectStore
from tests.prove import victims
from tests.prove.api_user import ApiUser
from tests.prove.pipeline_worker import ROLE, Prepared, collect_garbage, derive, prepared, work
from tests.prove.table import Results

PICTURES, QUERIES, K = 60, 20, 10
PIPELINES = ("first", "second")
COLLECTOR, API = "the collector", "the API"
POSTGRES = ("Postgres", victims.WHOLE_POSTGRES)
KILLS_A_ROUND: Sequence[str] = (*PIPELINES, "first", COLLECTOR, API, *POSTGRES)
LONGEST_PAUSE_S = 1.0  # between two kills: a round of 60 pictures takes some seconds
TICK_S = 0.03
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
FAILED = "SELECT error FROM stage_results WHERE error IS NOT NULL AND error NOT LIKE 'the worker process died%'"
DELETED = "SELECT id FROM images WHERE cleared_in IS NOT NULL"
TOGETHER = "two pipelines, the API and the collector at once come to the same end"
Told = tuple[str, int]  # a picture's SHA-256, and the id of its row: one that was lost and came again has another
Say = Callable[[str], None]


def random_kills(results: Results, tries: int, seed: int, say: Say) -> None:
    """Play a round a try, each with seven kills, two of them of the database."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([work.__module__])
    with (
        _home() as home,
        Decoder() as decoder,
        EmbeddedServer.start(home) as server,
        _company(context, home, random.Random(seed)) as company,
    ):
        pictures: list[Prepared] = []
        for number in range(tries):
            with tempfile.TemporaryDirectory() as folder:
                pictures += prepared(decoder, Path(folder), number, PICTURES)
            choice = random.Random(f"{seed} {number}")
            found = _Round(context, home, server, company, pictures[-PICTURES:], choice).play()
            with open_library(_settings(home)) as library:
                found.troubles += company.rest(library)
                found.answers, found.quarantined = company.user.answers, company.quarantined
                _judge(results, library, pictures, found, say)
        with open_library(_settings(home)) as library:
            _compare_searches(results, library, random.Random(seed), say)


@contextmanager
def _home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vitrine-kills-") as folder:
        Path(folder).chmod(0o755)  # the database server's own user passes through
        yield Path(folder)


def _settings(home: Path) -> Settings:
    return Settings(home=home, profile="packaged", DATABASE_URL=None)


class _Process:
    """One of our processes, started again when it was killed, and what it tells in all its lives."""

    def __init__(self, context: ForkServerContext, target: Callable[..., None], *given: object) -> None:
        self._context, self._target, self._given = context, target, given
        self.start_again()

    def start_again(self) -> None:
        """Give it a life; what it told in the one before should have been heard."""
        self._told, sender = self._context.Pipe(duplex=False)
        self._process = self._context.Process(target=self._target, args=(*self._given, sender), daemon=True)
        self._process.start()
        sender.close()

    @property
    def is_alive(self) -> bool:
        """Whether it is still at work."""
        return self._process.is_alive()

    def heard(self) -> list[Any]:
        """Return what it has told since the last time; also what it told before it died."""
        found = []
        try:
            while self._told.poll():
                found.append(self._told.recv())
        except (EOFError, OSError):
            pass
        return found

    def kill(self) -> bool:
        """Kill it, and return whether it was alive."""
        was_alive = self.is_alive
        self._process.kill()
        self._process.join()
        return was_alive


class _Api:
    """The product's API as a process, on a port that it keeps."""

    def __init__(self, home: Path) -> None:
        self._home, self._port = home, free_port()
        self.start_again()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    def start_again(self) -> None:
        """Start it, and wait for nothing."""
        environment = {
            **os.environ,
            "VITRINE_HOME": str(self._home),
            "VITRINE_PROFILE": "packaged",
            "VITRINE_API_PORT": str(self._port),
            "VITRINE_REQUESTS_PER_MINUTE": "0",
            "DATABASE_URL": "",
        }
        with (self._home / "api.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "query_api"], env=environment, stdout=log, stderr=log
            )

    def kill(self) -> bool:
        """Kill it, and return whether it was alive."""
        was_alive = self._process.poll() is None
        self._process.kill()
        self._process.wait()
        return was_alive


@dataclass
class _Company:
    """What goes on beside the pipelines, through all rounds."""

    api: _Api
    collector: _Process
    choice: random.Random
    known: list[int] = field(default_factory=list)  # images that were told to be there
    user: ApiUser = field(init=False)
    quarantined: int = 0  # pictures given up in the last round, for two workers died of them, or while they held them

    def begin(self) -> None:
        """Have the API used from now on."""
        self.user = ApiUser(self.api.url, self.known, self.choice)
        self.user.start()

    def rest(self, library: Library) -> list[str]:
        """Have nobody use the API, bring back all that was deleted or given up, and return what was wrong."""
        self.user.stop()
        with library.database.session() as session:
            deleted = set(session.scalars(sa.text(DELETED)))
            wrong = [f"a stage failed: {error}" for error in session.scalars(sa.text(FAILED))]
            self.quarantined = ledger.retry_failures(session)
            session.commit()
        if deleted != self.user.deleted:
            wrong.append(f"deleted: {sorted(deleted)}, told: {sorted(self.user.deleted)}")
        self.user.restore_all()
        self.user.close()
        derive(library)  # what was in quarantine, or deleted just when its vector was to be made
        return [*wrong, *self.user.troubles]


@contextmanager
def _company(context: ForkServerContext, home: Path, choice: random.Random) -> Iterator[_Company]:
    company = _Company(_Api(home), _Process(context, collect_garbage, home), choice)
    try:
        yield company
    finally:
        company.collector.kill()
        company.api.kill()


@dataclass
class _Found:
    """What died in a round, what the dead and the living had told, and what was wrong."""

    killed: Counter[str] = field(default_factory=Counter)
    acknowledged: set[Told] = field(default_factory=set)
    collected: int = 0
    answers: Counter[str] = field(default_factory=Counter)  # of the API
    quarantined: int = 0
    slowest_start_s: float = 0.0
    troubles: list[str] = field(default_factory=list)


class _Round:
    """Both pipelines over one set of pictures, until each has seen all of it."""

    def __init__(
        self,
        context: ForkServerContext,
        home: Path,
        server: EmbeddedServer,
        company: _Company,
        pictures: Sequence[Prepared],
        choice: random.Random,
    ) -> None:
        self._home, self._server, self._company, self._choice = home, server, company, choice
        self._objects = ObjectStore(home)
        self._pictures = {picture.sha256: picture for picture in pictures}
        orders = (choice.sample(pictures, len(pictures)) for _ in PIPELINES)
        self._pipelines = {
            name: _Process(context, work, home, order) for name, order in zip(PIPELINES, orders, strict=True)
        }
        self._found = _Found()

    def play(self) -> _Found:
        """Kill at random moments, then let both come to their end."""
        self._company.begin()
        doomed = self._choice.sample(KILLS_A_ROUND, len(KILLS_A_ROUND))
        deadline = time.monotonic() + ROUND_LIMIT_S
        for victim in doomed:
            self._listen_until(time.monotonic() + self._choice.uniform(0, LONGEST_PAUSE_S))
            self._kill(victim)
        while any(pipeline.is_alive for pipeline in self._pipelines.values()):
            if time.monotonic() > deadline:
                self._found.troubles.append(f"the pipelines were not done after {ROUND_LIMIT_S:.0f} s")
                break
            self._listen_until(time.monotonic() + TICK_S)
        self._listen()
        for pipeline in self._pipelines.values():
            pipeline.kill()
        return self._found

    def _listen_until(self, moment: float) -> None:
        while (left_s := moment - time.monotonic()) > 0:
            self._listen()
            self._leave_something_about()
            time.sleep(min(left_s, TICK_S))

    def _leave_something_about(self) -> None:
        told = {sha256 for sha256, _ in self._found.acknowledged}
        if coming := self._pictures.keys() - told:
            picture = self._pictures[self._choice.choice(sorted(coming))]
            for data in (picture.data, picture.decoded.working_copy):
                _leave_about(self._objects, data)

    def _listen(self) -> None:
        for pipeline in self._pipelines.values():
            if told := pipeline.heard():
                self._found.acknowledged.update(told)
                self._company.known += [image_id for _, image_id in told]
        self._found.collected += sum(self._company.collector.heard())

    def _kill(self, victim: str) -> None:
        if victim in POSTGRES:
            if victims.kill(self._home, victim, self._choice):
                self._found.killed[victim] += 1
            began = time.monotonic()
            self._server.ensure_running()
            self._found.slowest_start_s = max(self._found.slowest_start_s, time.monotonic() - began)
            return
        doomed = {API: self._company.api, COLLECTOR: self._company.collector, **self._pipelines}[victim]
        if doomed.kill():
            self._found.killed["a pipeline" if victim in PIPELINES else victim] += 1
        self._listen()
        doomed.start_again()


def _leave_about(objects: ObjectStore, data: bytes) -> None:
    """Leave a file in the store as somebody did long ago who died before its row was written, if it is not there."""
    path, aged = objects.path(hashlib.sha256(data).hexdigest()), objects.home / "aged"
    path.parent.mkdir(exist_ok=True)
    aged.write_bytes(data)
    os.utime(aged, (0, 0))
    with suppress(FileExistsError):  # one step, so that no file of a living writer is made older
        path.hardlink_to(aged)
    aged.unlink()


def _judge(results: Results, library: Library, pictures: Sequence[Prepared], found: _Found, say: Say) -> None:
    by_hash = {picture.sha256: picture for picture in pictures}
    troubles = [*found.troubles, *_troubles(library, by_hash, found.acknowledged)]
    for victim, count in found.killed.items():
        name = f"kill -9 of {victim} under load: what was told is there, once and whole"
        results.count(name, count, failed=bool(troubles))
    results.count(TOGETHER, failed=bool(troubles))
    say(
        f"killed {dict(found.killed)}, {len(found.acknowledged)} of {PICTURES} pictures told, "
        f"{found.quarantined} in quarantine, {found.collected} objects collected, "
        f"the API's answers {dict(found.answers)}, database back within {found.slowest_start_s:.1f} s"
    )
    for trouble in troubles:
        say(trouble)


def _troubles(library: Library, pictures: Mapping[str, Prepared], acknowledged: set[Told]) -> Iterator[str]:
    with library.database.session() as session:
        present = {(sha256, image_id) for sha256, image_id in session.execute(sa.text("SELECT sha256, id FROM images"))}
        yield from (f"image {image_id} was told to be there and is lost" for _, image_id in acknowledged - present)
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
