"""The outbox of jobs that somebody asked for; a request that Dagster could not take waits here for the sensor."""

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from lib.errors import KeyReused
from lib.storage.tables import JobRequest


def add_request(
    session: Session, job: str, config: Mapping[str, Any], *, idempotency_key: str | None = None
) -> tuple[JobRequest, bool]:
    """Write down a request for ``job``; return it, and whether it is new.

    A key that was seen before gives the request of the first time, untouched.

    Raises KeyReused if that one asked for something else.
    """
    values = {"id": str(uuid.uuid4()), "job": job, "config": dict(config), "idempotency_key": idempotency_key}
    # Two clients may send the same key at once: the second waits here for the first one's commit.
    written = session.execute(insert(JobRequest).values(values).on_conflict_do_nothing().returning(JobRequest.id))
    is_new = written.first() is not None
    same = JobRequest.id == values["id"] if is_new else JobRequest.idempotency_key == idempotency_key
    request = session.scalars(sa.select(JobRequest).where(same)).one()
    if (request.job, request.config) != (job, dict(config)):
        raise KeyReused("this Idempotency-Key was used for another request")
    return request, is_new


def list_requests(session: Session, *, before: int | None, limit: int) -> list[JobRequest]:
    """Return up to ``limit`` requests, newest first, that are older than number ``before``."""
    statement = sa.select(JobRequest).order_by(JobRequest.number.desc()).limit(limit)
    if before is not None:
        statement = statement.where(JobRequest.number < before)
    return list(session.scalars(statement))


def cancel_queued(session: Session, request_id: str) -> bool:
    """Take back a request that no run serves yet, and return whether there was one."""
    taken = session.execute(
        sa.update(JobRequest)
        .where(JobRequest.id == request_id, JobRequest.state == "queued")
        .values(state="canceled")
        .returning(JobRequest.id)
    )
    return taken.first() is not None


def mark_launched(session: Session, request_id: str, run_id: str) -> None:
    """Note which Dagster run serves a request."""
    session.execute(
        sa.update(JobRequest)
        .where(JobRequest.id == request_id)
        .values(state="launched", run_id=run_id, launched_at=sa.func.now())
    )


def mark_ended(session: Session, request_id: str) -> None:
    """Note that nothing more will be done for a request: its run has ended, well or with what it had to say."""
    session.execute(sa.update(JobRequest).where(JobRequest.id == request_id).values(state="ended"))


def launched_requests(session: Session) -> list[JobRequest]:
    """Return the requests that a run serves and that have not ended, oldest first."""
    statement = sa.select(JobRequest).where(JobRequest.state == "launched").order_by(JobRequest.created_at)
    return list(session.scalars(statement))


def queued_requests(session: Session, *, older_than_s: float = 0.0) -> list[JobRequest]:
    """Return the requests that no run serves yet and that have waited ``older_than_s`` seconds, oldest first."""
    waited = sa.func.now() - JobRequest.created_at >= timedelta(seconds=older_than_s)
    statement = sa.select(JobRequest).where(JobRequest.state == "queued", waited).order_by(JobRequest.created_at)
    return list(session.scalars(statement))
