"""The outbox of jobs that somebody asked for; a request that Dagster could not take waits here for the sensor."""

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lib.storage.tables import JobRequest


def add_request(session: Session, job: str, config: Mapping[str, Any]) -> JobRequest:
    """Write down a request for ``job``."""
    request = JobRequest(id=str(uuid.uuid4()), job=job, config=dict(config))
    session.add(request)
    session.flush()
    return request


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
