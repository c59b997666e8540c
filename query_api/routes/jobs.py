"""Jobs: writing down what was asked for, having Dagster start it, and waiting for it if the client does.

The request is a row before Dagster hears of it: if Dagster is away, its sensor finds the row when it is back.
"""

from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from lib.errors import NotFound
from lib.storage.requests import add_request, mark_launched
from lib.storage.tables import JobRequest
from query_api.dagster_gateway import DagsterAway, Job, Run, run_config
from query_api.dependencies import ServiceDep
from query_api.errors import JobsUnavailable, RunFailed
from query_api.negotiation import prefers_async
from query_api.schemas.jobs import JobAnswer
from query_api.service import Service

router = APIRouter(prefix="/v1", tags=["jobs"])
QUEUED = "queued"
ACCEPTED: dict[int | str, dict[str, Any]] = {202: {"model": JobAnswer}}
Force: TypeAlias = Annotated[bool, Query(description="Compute again what is there already.")]
Wait: TypeAlias = Annotated[bool, Query(description="Answer when the work is done; otherwise 202 at once.")]


@router.post("/jobs/{job}", response_model=JobAnswer, responses=ACCEPTED)
async def start_job(
    job: Job, request: Request, service: ServiceDep, force: Force = False, wait: Wait = False
) -> object:
    """Start a job; 202 with where to look, or 200 with counts for who waits."""
    return await run_job(request, service, job, force=force, wait=wait)


@router.get("/requests/{request_id}")
async def look_at_request(
    request_id: Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$")], service: ServiceDep
) -> JobAnswer:
    """Say what became of a request; its counts stand beside once its run has ended."""
    row = await run_in_threadpool(_read_request, service, request_id)
    if row.run_id is None:
        return _answer(service, row)
    try:
        return _answer(service, row, await service.dagster.look(row.run_id))
    except DagsterAway:
        return _answer(service, row)


async def scrape(request: Request, service: ServiceDep, wait: Wait = True) -> object:
    """Look for new pictures on the configured sources; waits and answers with counts."""
    return await run_job(request, service, Job.scrape, wait=wait)


async def highlight_all_images(
    request: Request, service: ServiceDep, force: Force = False, wait: Wait = True
) -> object:
    """Remove the background of every image that has no cut-out yet; waits and answers with counts."""
    return await run_job(request, service, Job.cut_out, force=force, wait=wait)


async def get_all_resnet_embeddings(request: Request, service: ServiceDep, wait: Wait = True) -> object:
    """Compute the visual vector of every image that lacks one; waits and answers with counts."""
    return await run_job(request, service, Job.embed_resnet, wait=wait)


async def get_all_clip_embeddings(request: Request, service: ServiceDep, wait: Wait = True) -> object:
    """Compute the CLIP vector of every image that lacks one; waits and answers with counts."""
    return await run_job(request, service, Job.embed_clip, wait=wait)


async def run_job(request: Request, service: Service, job: Job, *, wait: bool, force: bool = False) -> object:
    """Write the request down, launch it, and wait for its run unless the client would rather not.

    A client that goes away stops the waiting, never the run.
    """
    wait = wait and not prefers_async(request.headers.get("prefer", ""))
    row = await run_in_threadpool(_write_request, service, job, force)
    try:
        await _launch(service, row)
    except DagsterAway as error:
        if wait:
            raise JobsUnavailable(row.id) from error
    if row.run_id is None or not wait:
        return _accepted(_answer(service, row))
    run = await service.dagster.wait(row.run_id, request.is_disconnected)
    if run is not None and run.status != "SUCCESS":
        raise RunFailed(row.run_id, service.dagster.run_url(row.run_id), run.status, run.counts(job))
    return _answer(service, row, run)


def _write_request(service: Service, job: Job, force: bool) -> JobRequest:
    with service.database.session() as session:
        row = add_request(session, job, run_config(job, force=force))
        session.commit()
        return row


def _read_request(service: Service, request_id: str) -> JobRequest:
    with service.database.session() as session:
        row = session.get(JobRequest, request_id)
    if row is None:
        raise NotFound("there is no request with this id")
    return row


async def _launch(service: Service, row: JobRequest) -> None:
    row.run_id = await service.dagster.launch(Job(row.job), row.config, request_id=row.id)
    await run_in_threadpool(_note_launch, service, row.id, row.run_id)


def _note_launch(service: Service, request_id: str, run_id: str) -> None:
    with service.database.session() as session:
        mark_launched(session, request_id, run_id)
        session.commit()


def _answer(service: Service, row: JobRequest, run: Run | None = None) -> JobAnswer:
    counts: dict[str, Any] = run.counts(Job(row.job)) if run is not None and run.finished else {}
    state = run.status if run is not None else "launched" if row.run_id else QUEUED
    run_url = service.dagster.run_url(row.run_id) if row.run_id else None
    return JobAnswer(request_id=row.id, job=row.job, state=state, run_id=row.run_id, run_url=run_url, **counts)


def _accepted(answer: JobAnswer) -> JSONResponse:
    headers = {"Location": f"/v1/requests/{answer.request_id}", "Preference-Applied": "respond-async"}
    return JSONResponse(answer.model_dump(), 202, headers)
