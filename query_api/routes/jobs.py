"""Jobs: having Dagster start what is asked for, and waiting for it if the client does.

What became of a request is told by requests.py.
"""

from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Header, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from lib.storage.tables import JobRequest
from query_api.dagster_gateway import DagsterAway, Job
from query_api.dependencies import ServiceDep, SourceName
from query_api.errors import JobsUnavailable, RunFailed
from query_api.job_requests import answer, as_it_stands, launch, write_request
from query_api.negotiation import prefers_async
from query_api.schemas.jobs import JobAnswer
from query_api.service import Service

router = APIRouter(prefix="/v1", tags=["jobs"])
LOOK_AGAIN_S = 2
ACCEPTED: dict[int | str, dict[str, Any]] = {202: {"model": JobAnswer}}
Force: TypeAlias = Annotated[bool, Query(description="Compute again what is there already.")]
Wait: TypeAlias = Annotated[bool, Query(description="Answer when the work is done; otherwise 202 at once.")]
Sources: TypeAlias = Annotated[
    list[SourceName], Query(max_length=100, description="Scrape these alone, not all that are enabled.")
]
IdempotencyKey: TypeAlias = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Sent again with the same request, it starts nothing and answers with the first one.",
    ),
]


@router.post("/jobs/{job}", response_model=JobAnswer, responses=ACCEPTED)
async def start_job(
    job: Job,
    request: Request,
    service: ServiceDep,
    force: Force = False,
    wait: Wait = False,
    sources: Sources = [],  # noqa: B006  FastAPI copies it
    idempotency_key: IdempotencyKey = None,
) -> object:
    """Start a job; 202 with where to look, or 200 with counts for who waits."""
    row, is_new = await run_in_threadpool(
        write_request, service, job, force=force, sources=sources, idempotency_key=idempotency_key
    )
    if is_new:
        return await _run(request, service, row, wait=wait)
    return _accepted(await as_it_stands(service, row), {"Idempotency-Replayed": "true"})


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
    """Write a request down, launch it, and wait for its run unless the client would rather not."""
    row, _ = await run_in_threadpool(write_request, service, job, force=force, idempotency_key=None)
    return await _run(request, service, row, wait=wait)


async def _run(request: Request, service: Service, row: JobRequest, *, wait: bool) -> object:
    """Launch a request. A client that goes away stops the waiting, never the run."""
    wait = wait and not prefers_async(request.headers.get("prefer", ""))
    try:
        await launch(service, row)
    except DagsterAway as error:
        if wait:
            raise JobsUnavailable(row.id) from error
    if row.run_id is None or not wait:
        return _accepted(answer(service, row), {"Preference-Applied": "respond-async"})
    run = await service.dagster.wait(row.run_id, request.is_disconnected)
    if run is not None and run.status != "SUCCESS":
        raise RunFailed(row.run_id, service.dagster.run_url(row.run_id), run.status, run.counts(Job(row.job)))
    return answer(service, row, run)


def _accepted(told: JobAnswer, headers: dict[str, str]) -> JSONResponse:
    where = {"Location": f"/v1/requests/{told.request_id}", "Retry-After": str(LOOK_AGAIN_S)}
    return JSONResponse(told.model_dump(mode="json"), 202, where | headers)
