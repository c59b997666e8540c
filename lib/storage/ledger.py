"""The ledger: which image still lacks which stage, who is at work on it, and what came of it.

A run claims rows, computes, and commits results together with ``ok``, provided that the lease is still its own. A run
proves that it lives by holding an advisory lock on its name; once the server sees that lock free, anybody may take over
what the run had claimed. Images that were in a dead run's hands together are claimed again one at a time, so that the
one that kills its worker is found and the innocent go through.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from datetime import timedelta
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import InstrumentedAttribute, Session

from lib.errors import LeaseLost
from lib.storage.database import Database
from lib.storage.stage_inputs import current_inputs
from lib.storage.tables import Image, StageResult

MAX_ATTEMPTS = 3
MAX_CRASHES = 2
LEASE = timedelta(minutes=30)
FIRST_BACKOFF_S = 60
LockName: TypeAlias = str | sa.ColumnElement[str] | InstrumentedAttribute[str | None]


@dataclass(frozen=True)
class Work:
    """A stage under one spec, on some of the buckets (an image's bucket is its first byte % ``bucket_count``)."""

    stage: str
    spec_id: str
    run_id: str
    buckets: tuple[int, ...] = (0,)
    bucket_count: int = 1


@dataclass(frozen=True)
class Claim:
    """One image that this run may work on, and what the stage should read."""

    image_id: int
    sha256: str
    working_copy_sha256: str
    mask_sha256: str | None
    input_hash: str
    attempts: int


@dataclass(frozen=True)
class StageCounts:
    """How many live images stand where, for one stage and spec; the sum is the number of live images."""

    done: int
    pending: int
    failed: int
    dead: int


@contextmanager
def running(database: Database, run_id: str) -> Iterator[None]:
    """Hold the lock that says ``run_id`` lives, for as long as the block lasts or the process and the server live."""
    with database.engine.connect() as connection:
        connection.detach()  # closing it, or losing it, is what frees the lock
        # Shared: the steps of one run may be processes of their own.
        connection.execute(sa.select(sa.func.pg_advisory_lock_shared(_lock_key(run_id))))
        connection.commit()
        yield


def is_running(session: Session, run_id: str) -> bool:
    """Return whether some process holds the lock of ``run_id``."""
    return bool(session.scalar(sa.select(_lock_is_held(sa.literal(run_id)))))


def open_work(session: Session, work: Work) -> int:
    """Write a pending row for each live image whose current input has no result yet; return how many there were."""
    current = current_inputs(work.stage).where(_in_buckets(work)).subquery()
    missing = (
        sa.select(
            sa.literal(work.stage).label("stage"),
            sa.literal(work.spec_id).label("spec_id"),
            current.c.image_id,
            current.c.input_hash,
            sa.literal("pending").label("status"),
        )
        .outerjoin(
            StageResult,
            sa.and_(StageResult.image_id == current.c.image_id, _rows_of(work)),
        )
        .where(sa.or_(StageResult.image_id.is_(None), StageResult.input_hash != current.c.input_hash))
        .order_by(current.c.image_id)
    )
    seed = insert(StageResult).from_select(["stage", "spec_id", "image_id", "input_hash", "status"], missing)
    renewed = {
        "input_hash": seed.excluded.input_hash,
        "status": "pending",
        "attempts": 0,
        "crashes": 0,
        "next_attempt_at": None,
        "lease_owner": None,
        "lease_size": None,
        "error": None,
        "updated_at": sa.func.now(),
    }
    result = session.execute(
        seed.on_conflict_do_update(
            index_elements=["stage", "spec_id", "image_id"],
            set_=renewed,
            # Another run may have written the very row since our SELECT looked.
            where=StageResult.input_hash != seed.excluded.input_hash,
        ).returning(StageResult.image_id)
    )
    return len(result.all())


def claim(session: Session, work: Work, *, limit: int) -> list[Claim]:
    """Lease up to ``limit`` images to the run, newest first; then, one at a time, those that a dead run had held.

    An image that was alone in the hands of ``MAX_CRASHES`` dead workers becomes ``dead`` instead. The caller commits.
    """
    mine = sa.and_(_rows_of(work), Image.cleared_in.is_(None), _in_buckets(work))
    due = sa.and_(
        StageResult.status.in_(("pending", "failed")),
        sa.or_(StageResult.next_attempt_at.is_(None), StageResult.next_attempt_at <= sa.func.now()),
    )
    image_ids = _lock_rows(session, sa.and_(mine, due), limit)
    if not image_ids:
        _bury_killers(session, work)
        orphaned = sa.and_(StageResult.status == "leased", ~_lock_is_held(StageResult.lease_owner))
        image_ids = _lock_rows(session, sa.and_(mine, orphaned), 1)
    return _lease(session, work, image_ids)


def _lock_rows(session: Session, condition: sa.ColumnElement[bool], limit: int) -> list[int]:
    # The innocent of a crashed batch come before those that a worker died of, the latest death included.
    died_alone = sa.and_(StageResult.status == "leased", StageResult.lease_size == 1)
    deaths = StageResult.crashes + sa.case((died_alone, 1), else_=0)
    statement = (
        sa.select(StageResult.image_id)
        .join(Image, Image.id == StageResult.image_id)
        .where(condition)
        .order_by(deaths, StageResult.image_id.desc())
        .limit(limit)
        .with_for_update(of=StageResult, skip_locked=True)
    )
    return list(session.scalars(statement))


def _bury_killers(session: Session, work: Work) -> None:
    session.execute(
        sa.update(StageResult)
        .where(
            _rows_of(work),
            StageResult.status == "leased",
            StageResult.lease_size == 1,
            StageResult.crashes >= MAX_CRASHES - 1,
            ~_lock_is_held(StageResult.lease_owner),
        )
        .values(
            status="dead",
            crashes=StageResult.crashes + 1,
            lease_owner=None,
            error=f"the worker process died {MAX_CRASHES} times while it held this image alone",
            updated_at=sa.func.now(),
        )
    )


def _lease(session: Session, work: Work, image_ids: list[int]) -> list[Claim]:
    if not image_ids:
        return []
    rows = sa.and_(_rows_of(work), StageResult.image_id.in_(image_ids))
    died_alone = sa.and_(StageResult.status == "leased", StageResult.lease_size == 1)
    current = current_inputs(work.stage).where(Image.id.in_(image_ids)).subquery()
    session.execute(
        sa.update(StageResult)
        .where(rows, StageResult.image_id == current.c.image_id)
        .values(
            status="leased",
            input_hash=current.c.input_hash,
            crashes=StageResult.crashes + sa.case((died_alone, 1), else_=0),
            lease_owner=work.run_id,
            lease_size=len(image_ids),
            lease_expires_at=sa.func.now() + LEASE,
            updated_at=sa.func.now(),
        )
    )
    claims = sa.select(
        current.c.image_id,
        current.c.sha256,
        current.c.working_copy_sha256,
        current.c.mask_sha256,
        current.c.input_hash,
        StageResult.attempts,
    ).join(StageResult, sa.and_(rows, StageResult.image_id == current.c.image_id))
    return [Claim(*row) for row in session.execute(claims.order_by(current.c.image_id.desc()))]


def record_ok(session: Session, work: Work, *claims: Claim) -> None:
    """Mark images as done, in the transaction that stores their results; LeaseLost if another run took one over."""
    values = {"status": "ok", "error": None, "next_attempt_at": None, "attempts": StageResult.attempts + 1}
    _close(session, work, claims, values)


def record_failure(session: Session, work: Work, claim: Claim, error: str) -> None:
    """Write down why an image failed; it is due again after a growing pause, and ``dead`` after ``MAX_ATTEMPTS``."""
    attempts = claim.attempts + 1
    pause = timedelta(seconds=FIRST_BACKOFF_S * 4 ** (attempts - 1))
    values = {
        "status": "dead" if attempts >= MAX_ATTEMPTS else "failed",
        "error": error[:500],
        "attempts": attempts,
        "next_attempt_at": sa.func.now() + pause,
    }
    _close(session, work, [claim], values)


def _close(session: Session, work: Work, claims: Sequence[Claim], values: Mapping[str, object]) -> None:
    _require_leases(session, work, claims)
    session.execute(
        sa.update(StageResult)
        .where(_rows_of(work), StageResult.image_id.in_([claim.image_id for claim in claims]))
        .values(**values, lease_owner=None, lease_expires_at=None, lease_size=None, updated_at=sa.func.now())
    )


def _require_leases(session: Session, work: Work, claims: Sequence[Claim]) -> None:
    """Hold the rows of these claims until the transaction ends; raise LeaseLost where one is no longer the run's."""
    key = sa.tuple_(StageResult.image_id, StageResult.input_hash)
    mine = sa.and_(
        _rows_of(work),
        key.in_([(claim.image_id, claim.input_hash) for claim in claims]),
        StageResult.status == "leased",
        StageResult.lease_owner == work.run_id,  # fencing: a run that was given up cannot write
    )
    # In the order of `open_work`, so that the two never wait for each other in a circle.
    held = session.scalars(sa.select(StageResult.image_id).where(mine).order_by(StageResult.image_id).with_for_update())
    lost = {claim.image_id for claim in claims} - set(held)
    if lost:
        raise LeaseLost(f"image {min(lost)}: another run took over {work.stage}")


def record_on_request(session: Session, work: Work, image_id: int, input_hash: str) -> bool:
    """Mark an image as done that was computed outside a run, and return True; False if a run holds it right now."""
    values = {"input_hash": input_hash, "status": "ok", "error": None, "updated_at": sa.func.now()}
    statement = insert(StageResult).values(stage=work.stage, spec_id=work.spec_id, image_id=image_id, **values)
    written = session.execute(
        statement.on_conflict_do_update(
            index_elements=["stage", "spec_id", "image_id"], set_=values, where=StageResult.status != "leased"
        ).returning(StageResult.image_id)
    )
    return written.first() is not None


def release(session: Session, work: Work, claims: Sequence[Claim]) -> None:
    """Give claimed images back untouched, when the machinery and not the pictures failed."""
    session.execute(
        sa.update(StageResult)
        .where(
            _rows_of(work),
            StageResult.image_id.in_([claim.image_id for claim in claims]),
            StageResult.lease_owner == work.run_id,
        )
        .values(status="pending", lease_owner=None, lease_expires_at=None, lease_size=None)
    )


def retry_failures(session: Session) -> int:
    """Make every failed and dead row due at once, with a clean slate; return how many there were."""
    result = session.execute(
        sa.update(StageResult)
        .where(StageResult.status.in_(("failed", "dead")))
        .values(status="pending", attempts=0, crashes=0, next_attempt_at=None, error=None, updated_at=sa.func.now())
        .returning(StageResult.image_id)
    )
    return len(result.all())


def forget(session: Session, work: Work) -> int:
    """Make every finished image of these buckets pending again, for a forced recomputation."""
    inside = sa.select(Image.id).where(_in_buckets(work))
    result = session.execute(
        sa.update(StageResult)
        .where(
            _rows_of(work),
            StageResult.status.in_(("ok", "failed", "dead")),
            StageResult.image_id.in_(inside),
        )
        .values(status="pending", attempts=0, crashes=0, next_attempt_at=None, updated_at=sa.func.now())
        .returning(StageResult.image_id)
    )
    return len(result.all())


def count(session: Session, work: Work) -> StageCounts:
    """Return how many live images (of these buckets) are done, pending, failed and dead in a stage under a spec."""
    return sum_of(count_by_bucket(session, work).values())


def count_by_bucket(session: Session, work: Work) -> dict[int, StageCounts]:
    """Return the counts of each of the work's buckets, in one pass over the library; empty buckets count zeros."""
    inputs = current_inputs(work.stage).add_columns(Image.first_byte).where(_in_buckets(work)).subquery()
    fresh = StageResult.input_hash == inputs.c.input_hash
    state = sa.case(
        (sa.and_(StageResult.status == "ok", fresh), "done"),
        (sa.and_(StageResult.status == "failed", fresh), "failed"),
        (sa.and_(StageResult.status == "dead", fresh), "dead"),
        else_="pending",
    ).label("state")
    same = sa.and_(StageResult.image_id == inputs.c.image_id, _rows_of(work))
    bucket = (inputs.c.first_byte % work.bucket_count).label("bucket")
    rows = session.execute(
        sa.select(bucket, state, sa.func.count())
        .select_from(inputs)
        .outerjoin(StageResult, same)
        .group_by(bucket, state)
    )
    counts = {bucket: dict.fromkeys(("done", "pending", "failed", "dead"), 0) for bucket in work.buckets}
    for number, name, images in rows:
        counts[number][name] = images
    return {bucket: StageCounts(**of_bucket) for bucket, of_bucket in counts.items()}


def sum_of(counts: Iterable[StageCounts]) -> StageCounts:
    """Return the counts of several buckets as one.

    >>> sum_of([StageCounts(1, 2, 3, 4), StageCounts(1, 0, 0, 0)])
    StageCounts(done=2, pending=2, failed=3, dead=4)
    """
    total = StageCounts(0, 0, 0, 0)
    for one in counts:
        total = StageCounts(*(a + b for a, b in zip(astuple(total), astuple(one), strict=True)))
    return total


def due_count(session: Session, work: Work) -> int:
    """Return how many images of these buckets a run could work on right now (not waiting for a backoff, not dead)."""
    inputs = current_inputs(work.stage).where(_in_buckets(work)).subquery()
    same = sa.and_(StageResult.image_id == inputs.c.image_id, _rows_of(work))
    waiting = sa.and_(StageResult.status == "failed", StageResult.next_attempt_at > sa.func.now())
    held = sa.and_(StageResult.status == "leased", _lock_is_held(StageResult.lease_owner))
    due = sa.or_(
        StageResult.image_id.is_(None),
        StageResult.input_hash != inputs.c.input_hash,
        sa.and_(StageResult.status.in_(("pending", "failed", "leased")), ~waiting, ~held),
    )
    statement = sa.select(sa.func.count()).select_from(inputs).outerjoin(StageResult, same).where(due)
    return session.scalar(statement) or 0


def failures(session: Session, *, stage: str, limit: int) -> list[tuple[int, str, str]]:
    """Return (image id, status, error) of the latest failed and dead images of a stage."""
    statement = (
        sa.select(StageResult.image_id, StageResult.status, StageResult.error)
        .where(StageResult.stage == stage, StageResult.status.in_(("failed", "dead")))
        .order_by(StageResult.updated_at.desc())
        .limit(limit)
    )
    return [(image_id, status, error or "") for image_id, status, error in session.execute(statement)]


def _in_buckets(work: Work) -> sa.ColumnElement[bool]:
    if len(work.buckets) == work.bucket_count:
        return sa.true()
    return (Image.first_byte % work.bucket_count).in_(work.buckets)


def _rows_of(work: Work) -> sa.ColumnElement[bool]:
    return sa.and_(StageResult.stage == work.stage, StageResult.spec_id == work.spec_id)


def _lock_key(run_id: LockName) -> sa.Function[int]:
    return sa.func.hashtextextended(run_id, sa.literal_column("0"), type_=sa.BigInteger)


def _lock_is_held(run_id: LockName) -> sa.ColumnElement[bool]:
    # pg_locks shows a 64-bit advisory key as two halves; objsubid 1 marks that form.
    locks = sa.table("pg_locks", sa.column("locktype"), sa.column("classid"), sa.column("objid"), sa.column("objsubid"))
    high = sa.cast(locks.c.classid, sa.BigInteger).op("<<")(sa.literal_column("32"))
    key = high.op("|")(sa.cast(locks.c.objid, sa.BigInteger))
    return (
        sa.select(sa.literal(1))
        .select_from(locks)
        .where(
            locks.c.locktype == "advisory",
            locks.c.objsubid == 1,
            key == _lock_key(run_id),
        )
        .exists()
    )
