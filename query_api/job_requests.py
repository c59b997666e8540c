"""A request for a job: written down, launched, and told of as it stands.

The request is a row before Dagster hears of it: if Dagster is away, its sensor finds the row when it is back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session

from lib.errors import Conflict, MeaninglessQuery, NotFound
from lib.models.registry import STAGE_OF_ROLE
from lib.storage import models
from lib.storage.requests import add_request, mark_launched
from lib.storage.sources import count_frontier, source_by_name
from lib.storage.tables import JobRequest
from query_api.dagster_gateway import FORCED_ASSETS, DagsterAway, Job, Run, run_config
from query_api.schemas.jobs import JobAnswer, StageProgress
from query_api.service import Service


def write_request(
    service: Service, job: Job, *, force: bool, sources: Sequence[str] = (), idempotency_key: str | None
) -> tuple[JobRequest, bool]:
    """Write a request down, and return it and whether it is new.

    Raises KeyReused, SourceNotFound, Conflict for a source that is switched off, and MeaninglessQuery where sources are
    named for a job that visits none.
    """
    if sources and job is not Job.scrape:
        raise MeaninglessQuery(f"only a scrape can be limited to sources; {job} works on all images")
    with service.database.session() as session:
        _require_enabled(session, sources)
        config = run_config(job, force=force, sources=sources)
        row, is_new = add_request(session, job, config, idempotency_key=idempotency_key)
        session.commit()
        return row, is_new


def _require_enabled(session: Session, names: Sequence[str]) -> None:
    for name in names:
        if not source_by_name(session, name).enabled:
            raise Conflict(f"the source {name} is switched off, so no scrape visits it")


def read_request(service: Service, request_id: str) -> JobRequest:
    """Return a request. Raises NotFound."""
    with service.database.session() as session:
        row = session.get(JobRequest, request_id)
    if row is None:
        raise NotFound("there is no request with this id")
    return row


async def launch(service: Service, row: JobRequest) -> None:
    """Have Dagster start what a request asks for, and note its run. Raises DagsterAway."""
    row.run_id = await service.dagster.launch(Job(row.job), row.config, request_id=row.id)
    row.state = "launched"
    await run_in_threadpool(_note_launch, service, row.id, row.run_id)


def _note_launch(service: Service, request_id: str, run_id: str) -> None:
    with service.database.session() as session:
        mark_launched(session, request_id, run_id)
        session.commit()


async def as_it_stands(service: Service, row: JobRequest) -> JobAnswer:
    """Return a request with what its run has come to; while it goes on, with the progress of its stages."""
    if row.run_id is None:
        return answer(service, row)
    try:
        run = await service.dagster.look(row.run_id)
    except DagsterAway:
        return answer(service, row)
    if run.finished:
        return answer(service, row, run)
    return answer(service, row, run, await run_in_threadpool(_progress, service, Job(row.job)))


def answer(
    service: Service, row: JobRequest, run: Run | None = None, progress: Mapping[str, StageProgress] | None = None
) -> JobAnswer:
    """Return a request as JSON, with its counts once its run has finished."""
    counts: dict[str, Any] = run.counts(Job(row.job)) if run is not None and run.finished else {}
    return JobAnswer(
        request_id=row.id,
        job=row.job,
        state=run.status if run is not None else row.state,
        created_at=row.created_at,
        run_id=row.run_id,
        run_url=service.dagster.run_url(row.run_id) if row.run_id else None,
        progress=dict(progress) if progress else None,
        **counts,
    )


def _progress(service: Service, job: Job) -> dict[str, StageProgress]:
    stages = FORCED_ASSETS.get(job, ())
    with service.database.session() as session:
        if job is Job.scrape:
            visited, waiting = count_frontier(session)
            return {"pages": StageProgress(done=visited, pending=waiting, failed=0, dead=0)}
        active = [model for model in models.all_models(session) if model.state == "active"]
        return {
            STAGE_OF_ROLE[model.role]: StageProgress(**asdict(models.coverage(session, model)))
            for model in active
            if STAGE_OF_ROLE[model.role] in stages
        }
