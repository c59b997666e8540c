"""The one loop behind every derived asset: claim what is missing, read it, compute, store, report.

An asset fills in a :class:`Stage`. This is also the one edge where a picture's exception becomes a row: whatever a bad
picture raises is written down beside it, and only the machinery's own errors end the run.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import dagster as dg
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from lib.arrays import Mask, RGBAImage
from lib.errors import ImageError, LeaseLost, ObjectMissing, StorageError, TransactionConflict, WeightsMissing
from lib.images.background import decode_mask_png
from lib.images.decoding import read_working_copy
from lib.models.registry import STAGE_OF_ROLE, ModelSpec, Role, model_by_spec_id
from lib.storage import ledger, models
from lib.storage.images import newest_ids
from lib.storage.library import Library
from orchestration.partitions import BUCKET_COUNT, bucket_numbers
from orchestration.reports import failures_table, samples_table

Result = TypeVar("Result")
Outcome = TypeVar("Outcome")
MAX_SAMPLES = 10
log = structlog.get_logger()


@dataclass(frozen=True)
class Picture:
    """What a stage works on: a claimed image's working copy and, for colours, its mask."""

    claim: ledger.Claim
    rgba: RGBAImage
    mask: Mask | None


class Worker(Protocol[Result]):
    """A loaded model at work."""

    def compute(self, pictures: Sequence[Picture]) -> Sequence[Result]:
        """Return one result for each picture."""

    def store(self, session: Session, claims: Sequence[ledger.Claim], results: Sequence[Result]) -> None:
        """Write results; the caller commits them together with the ledger's ``ok``. Raises ImageError for a bad one."""


@dataclass(frozen=True)
class Stage(Generic[Result]):
    """A derived asset: whose models it runs, how many pictures at a time, and how to get a worker."""

    role: Role
    batch_size: int
    load: Callable[[Library, ModelSpec], Worker[Result]]

    @property
    def name(self) -> str:
        """The stage's name in the ledger, which is the asset's and the table's."""
        return STAGE_OF_ROLE[self.role]


@dataclass
class StageReport:
    """What one run of a stage did."""

    processed: int = 0
    seconds: float = 0.0
    sample_ids: list[int] = field(default_factory=list)
    per_bucket: Counter[int] = field(default_factory=Counter)

    def add(self, claim: ledger.Claim) -> None:
        """Count one stored result."""
        self.processed += 1
        self.per_bucket[int(claim.sha256[:2], 16) % BUCKET_COUNT] += 1
        if len(self.sample_ids) < MAX_SAMPLES:
            self.sample_ids.append(claim.image_id)


def run_stage(library: Library, stage: Stage[Any], *, run_id: str, buckets: Sequence[int], force: bool) -> StageReport:
    """Bring the stage up to date on these buckets for every model that wants results, and return what was done.

    Raises
    ------
    StorageError, OSError
        When the machinery fails; leased images are given back first, so that nothing waits for this run.
    WeightsMissing
        When not one model of the role could be loaded; a model without weights does not keep another from filling in.
    """
    report = StageReport()
    started = time.perf_counter()
    with library.database.session() as session:
        specs = [model.spec_id for model in models.working_models(session, stage.role)]
    missing: list[WeightsMissing] = []
    for spec_id in specs:
        work = ledger.Work(stage.name, spec_id, run_id, tuple(buckets), BUCKET_COUNT)
        _open(library, work, force=force)
        try:
            _run_model(library, stage, work, report)
        except WeightsMissing as error:
            log.warning("weights_missing", stage=stage.name, spec_id=spec_id, detail=str(error))
            missing.append(error)
    if missing and len(missing) == len(specs):
        raise missing[0]
    report.seconds = time.perf_counter() - started
    return report


def _open(library: Library, work: ledger.Work, *, force: bool) -> None:
    with library.database.session() as session:
        if force:
            ledger.forget(session, work)
        ledger.open_work(session, work)
        session.commit()


def _run_model(library: Library, stage: Stage[Any], work: ledger.Work, report: StageReport) -> None:
    if not _is_due(library, work):
        return
    # Before anything is claimed: a process that dies of loading its model must not count against a picture.
    worker = stage.load(library, model_by_spec_id(work.spec_id))
    while claims := _claim(library, work, stage.batch_size):
        with _leased(library, work, claims):
            for claim in _keep(library, worker, work, list(_outcomes(library, worker, claims))):
                report.add(claim)


def _is_due(library: Library, work: ledger.Work) -> bool:
    with library.database.session() as session:
        return ledger.due_count(session, work) > 0


def _claim(library: Library, work: ledger.Work, limit: int) -> list[ledger.Claim]:
    with library.database.session() as session:
        claims = ledger.claim(session, work, limit=limit)
        session.commit()
        return claims


@contextmanager
def _leased(library: Library, work: ledger.Work, claims: Sequence[ledger.Claim]) -> Iterator[None]:
    try:
        yield
    except (StorageError, SQLAlchemyError):
        raise  # the database is the one that failed: its own lock on our leases goes with our connection
    except BaseException:
        with library.database.session() as session:
            ledger.release(session, work, claims)
            session.commit()
        raise


def _outcomes(
    library: Library, worker: Worker[Result], claims: Sequence[ledger.Claim]
) -> Iterator[tuple[ledger.Claim, Result | Exception]]:
    """Yield each claim with its result, or with the exception that its picture raised.

    A batch that fails as a whole is computed again picture by picture, to find whose fault it was.
    """
    loaded = [(claim, _attempt(partial(_read, library, claim))) for claim in claims]
    yield from ((claim, picture) for claim, picture in loaded if isinstance(picture, Exception))
    pictures = [picture for _, picture in loaded if isinstance(picture, Picture)]
    if not pictures:
        return
    results = _attempt(partial(worker.compute, pictures))
    if not isinstance(results, Exception):
        yield from zip((picture.claim for picture in pictures), results, strict=True)
        return
    for picture in pictures:
        alone = _attempt(partial(worker.compute, [picture]))
        yield picture.claim, alone if isinstance(alone, Exception) else alone[0]


def _attempt(action: Callable[[], Outcome]) -> Outcome | Exception:
    try:
        return action()
    except ObjectMissing as error:
        return error
    except (StorageError, SQLAlchemyError, OSError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001  the edge named in the module's first lines
        return error


def _read(library: Library, claim: ledger.Claim) -> Picture:
    rgba = read_working_copy(library.objects.read(claim.working_copy_sha256))
    mask = decode_mask_png(library.objects.read(claim.mask_sha256)) if claim.mask_sha256 else None
    return Picture(claim, rgba, mask)


def _keep(
    library: Library,
    worker: Worker[Result],
    work: ledger.Work,
    outcomes: Sequence[tuple[ledger.Claim, Result | Exception]],
) -> list[ledger.Claim]:
    """Write the outcomes of a batch and return the claims whose results are stored.

    Results are committed together; where one of them stands in the way, each is committed alone.
    """
    results = [(claim, outcome) for claim, outcome in outcomes if not isinstance(outcome, Exception)]
    for claim, outcome in outcomes:
        if isinstance(outcome, Exception):
            _keep_failure(library, work, claim, outcome)
    try:
        _store(library, worker, work, results)
    except (ImageError, LeaseLost, TransactionConflict):
        return [claim for claim, result in results if _keep_alone(library, worker, work, claim, result)]
    return [claim for claim, _ in results]


def _store(
    library: Library, worker: Worker[Result], work: ledger.Work, results: Sequence[tuple[ledger.Claim, Result]]
) -> None:
    if not results:
        return
    claims = [claim for claim, _ in results]
    with library.database.session() as session:
        worker.store(session, claims, [result for _, result in results])
        ledger.record_ok(session, work, *claims)
        session.commit()


def _keep_alone(
    library: Library, worker: Worker[Result], work: ledger.Work, claim: ledger.Claim, result: Result
) -> bool:
    """Write one result, or the failure that it turns out to be, and return whether it was a result."""
    try:
        _store(library, worker, work, [(claim, result)])
    except ImageError as error:
        _keep_failure(library, work, claim, error)
    except LeaseLost as error:
        _given_up(work, claim, error)
    else:
        return True
    return False


def _keep_failure(library: Library, work: ledger.Work, claim: ledger.Claim, failure: Exception) -> None:
    try:
        with library.database.session() as session:
            ledger.record_failure(session, work, claim, f"{type(failure).__name__}: {failure}")
            session.commit()
    except LeaseLost as error:
        _given_up(work, claim, error)


def _given_up(work: ledger.Work, claim: ledger.Claim, error: LeaseLost) -> None:
    log.warning("lease_lost", stage=work.stage, image_id=claim.image_id, detail=str(error))


def materialize_stage(
    context: dg.AssetExecutionContext, library: Library, stage: Stage[Any], *, force: bool
) -> dg.MaterializeResult[None]:
    """Run a stage on the partitions of this materialisation and describe the outcome in metadata."""
    buckets = bucket_numbers(context.partition_keys)
    report = run_stage(library, stage, run_id=context.run.run_id, buckets=buckets, force=force)
    counts = _counts(library, stage, buckets)
    for key, bucket in zip(context.partition_keys, buckets, strict=True):
        per_bucket = {"dagster/row_count": counts[bucket].done, "bucket_processed": report.per_bucket[bucket]}
        context.add_asset_metadata(per_bucket, partition_key=key)
    return dg.MaterializeResult(metadata=_metadata(library, stage, ledger.sum_of(counts.values()), report))


def _counts(library: Library, stage: Stage[Any], buckets: Sequence[int]) -> dict[int, ledger.StageCounts]:
    with library.database.session() as session:
        model = models.require_active(session, stage.role)
        work = ledger.Work(stage.name, model.spec_id, "", tuple(buckets), BUCKET_COUNT)
        return ledger.count_by_bucket(session, work)


def _metadata(library: Library, stage: Stage[Any], counts: ledger.StageCounts, report: StageReport) -> dict[str, Any]:
    with library.database.session() as session:
        model = models.require_active(session, stage.role)
        failures = ledger.failures(session, stage=stage.name, limit=20)
        shown = report.sample_ids or newest_ids(session, MAX_SAMPLES)
    return {
        "done": counts.done,
        "processed": report.processed,
        "unchanged": max(0, counts.done - report.processed),
        "failed": counts.failed,
        "dead": counts.dead,
        "pending": counts.pending,
        "seconds": round(report.seconds, 3),
        "images_per_s": round(report.processed / report.seconds, 2) if report.processed else 0.0,
        "model": model.name,
        "spec_id": model.spec_id,
        "samples": samples_table(library.settings, shown),
        "failures": failures_table(failures),
    }
