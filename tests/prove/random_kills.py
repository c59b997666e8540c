"""Two pipelines at work on one library, the API and the collector of garbage beside them, all killed at random.

Each round gives both pipelines the same new pictures in an order of their own; files of those pictures turn up
meanwhile as garbage that is long overdue. After each, what was told must be there, once and whole.
"""

import multiprocessing
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from lib.images.decoding import Decoder
from lib.library.verification import verify
from lib.models.registry import model_spec
from lib.storage.embedded import EmbeddedServer
from lib.storage.embeddings import embeddings
from lib.storage.library import Library, open_library
from lib.storage.neighbors import nearest
from tests.prove.kill_round import Found, Round, Told, company_of
from tests.prove.pipeline_worker import ROLE, Prepared, prepared, settings_of, work
from tests.prove.table import Results

PICTURES, QUERIES, K = 60, 20, 10
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
TOGETHER = "two pipelines, the API and the collector at once come to the same end"
CHANGED = "a deletion or restoration that the API acknowledged meanwhile holds"
COLLECTED = "an object that was collected as garbage while its picture came is there all the same"
Say = Callable[[str], None]


def random_kills(results: Results, tries: int, seed: int, say: Say) -> None:
    """Play a round a try, each with seven kills, two of them of the database."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([work.__module__])
    with (
        _home() as home,
        Decoder() as decoder,
        EmbeddedServer.start(home) as server,
        company_of(context, home, random.Random(seed)) as company,
    ):
        pictures: list[Prepared] = []
        for number in range(tries):
            with tempfile.TemporaryDirectory() as folder:
                pictures += prepared(decoder, Path(folder), number, PICTURES)
            choice = random.Random(f"{seed} {number}")
            found = Round(context, home, server, company, pictures[-PICTURES:], choice).play()
            with open_library(settings_of(home)) as library:
                company.rest(library, found)
                _judge(results, library, pictures, found, say)
        with open_library(settings_of(home)) as library:
            _compare_searches(results, library, random.Random(seed), say)


@contextmanager
def _home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vitrine-kills-") as folder:
        Path(folder).chmod(0o755)  # the database server's own user passes through
        yield Path(folder)


def _judge(results: Results, library: Library, pictures: Sequence[Prepared], found: Found, say: Say) -> None:
    by_hash = {picture.sha256: picture for picture in pictures}
    troubles = [*found.troubles, *_troubles(library, by_hash, found.acknowledged)]
    for victim, count in found.killed.items():
        name = f"kill -9 of {victim} under load: what was told is there, once and whole"
        results.count(name, count, failed=bool(troubles))
    results.count(TOGETHER, failed=bool(troubles))
    results.count(CHANGED, found.changes, failed=bool(troubles))
    results.count(COLLECTED, found.collected, failed=bool(troubles))
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
