"""A round of random kills: two pipelines over the same new pictures, with everything else that works on a library.

Whatever a process tells to be in the library, or the API to be deleted, is kept here, in a ledger outside the product;
whoever dies is started again, as the product's supervisor does.
"""

import hashlib
import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from pathlib import Path

import sqlalchemy as sa

from lib.storage import ledger
from lib.storage.embedded import EmbeddedServer
from lib.storage.library import Library
from lib.storage.objects import ObjectStore
from tests.prove import victims
from tests.prove.api_user import ApiUser
from tests.prove.mortals import MortalApi, MortalProcess
from tests.prove.pipeline_worker import Prepared, collect_garbage, derive, work

PIPELINES = ("first", "second")
COLLECTOR, API = "the collector", "the API"
POSTGRES = ("Postgres", victims.WHOLE_POSTGRES)
KILLS_A_ROUND: Sequence[str] = (*PIPELINES, "first", COLLECTOR, API, *POSTGRES)
LONGEST_PAUSE_S = 1.0  # between two kills: a round of 60 pictures takes some seconds
TICK_S = 0.03
ROUND_LIMIT_S = 300.0
FAILED = "SELECT error FROM stage_results WHERE error IS NOT NULL AND error NOT LIKE 'the worker process died%'"
DELETED = "SELECT id FROM images WHERE cleared_in IS NOT NULL"
Told = tuple[str, int]  # a picture's SHA-256, and the id of its row: one that was lost and came again has another


@dataclass
class Found:
    """What died in a round, what the dead and the living had told, and what was wrong."""

    killed: Counter[str] = field(default_factory=Counter)
    acknowledged: set[Told] = field(default_factory=set)
    collected: int = 0
    answers: Counter[str] = field(default_factory=Counter)  # of the API
    changes: int = 0  # that the API acknowledged
    quarantined: int = 0  # pictures given up, for two workers died while they held them alone
    slowest_start_s: float = 0.0
    troubles: list[str] = field(default_factory=list)


@dataclass
class Company:
    """What goes on beside the pipelines, through all rounds."""

    api: MortalApi
    collector: MortalProcess
    choice: random.Random
    known: list[int] = field(default_factory=list)  # images that were told to be there
    user: ApiUser = field(init=False)

    def begin(self) -> None:
        """Have the API used from now on."""
        self.user = ApiUser(self.api.url, self.known, self.choice)
        self.user.start()

    def rest(self, library: Library, found: Found) -> None:
        """Have nobody use the API, write down what was wrong, and bring back what was deleted or given up."""
        self.user.stop()
        with library.database.session() as session:
            deleted = set(session.scalars(sa.text(DELETED)))
            found.troubles += [f"a stage failed: {error}" for error in session.scalars(sa.text(FAILED))]
            found.quarantined = ledger.retry_failures(session)
            session.commit()
        if deleted != self.user.deleted:
            found.troubles.append(f"deleted: {sorted(deleted)}, told: {sorted(self.user.deleted)}")
        self.user.restore_all()
        self.user.close()
        derive(library)  # what was in quarantine, or deleted just when its vector was to be made
        found.answers += self.user.answers
        found.changes += self.user.acknowledged
        found.troubles += self.user.troubles


@contextmanager
def company_of(context: ForkServerContext, home: Path, choice: random.Random) -> Iterator[Company]:
    """Yield what works on the library at ``home`` beside the pipelines, started; it ends with the block."""
    company = Company(MortalApi(home), MortalProcess(context, collect_garbage, home), choice)
    try:
        yield company
    finally:
        company.collector.kill()
        company.api.kill()


class Round:
    """Both pipelines over one set of pictures, until each has seen all of it."""

    def __init__(
        self,
        context: ForkServerContext,
        home: Path,
        server: EmbeddedServer,
        company: Company,
        pictures: Sequence[Prepared],
        choice: random.Random,
    ) -> None:
        self._home, self._server, self._company, self._choice = home, server, company, choice
        self._objects = ObjectStore(home)
        self._pictures = {picture.sha256: picture for picture in pictures}
        orders = (choice.sample(pictures, len(pictures)) for _ in PIPELINES)
        self._pipelines = {
            name: MortalProcess(context, work, home, order) for name, order in zip(PIPELINES, orders, strict=True)
        }
        self._found = Found()

    def play(self) -> Found:
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
