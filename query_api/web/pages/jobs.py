"""Jobs: started, watched while they run, called off; what failed, and trying it again."""

from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from lib.storage.failures import stage_failures, url_failures
from lib.storage.requests import list_requests
from query_api.cursors import cursor_after, read_cursor
from query_api.dagster_gateway import DagsterAway, Job
from query_api.dependencies import PageCursor, ServiceDep, SessionDep
from query_api.job_requests import answer, as_it_stands, launch, write_request
from query_api.routes.requests import ENDED, RequestDep, cancel
from query_api.web.page_route import PageRoute
from query_api.web.templating import is_fragment, page

router = APIRouter(prefix="/jobs", include_in_schema=False, route_class=PageRoute)
JOBS, FAILURES = 30, 50


@router.get("")
def show(request: Request, service: ServiceDep, session: SessionDep, cursor: PageCursor = None) -> Response:
    """Show what was asked for, and what failed."""
    before = None if cursor is None else int(read_cursor(cursor, 1)[0])
    rows = list_requests(session, before=before, limit=JOBS + 1)
    return page(
        request,
        "jobs.html",
        jobs=[answer(service, row) for row in rows[:JOBS]],
        next=f"/jobs?cursor={cursor_after(rows[JOBS - 1].number)}" if len(rows) > JOBS else None,
        kinds=[job.value for job in Job],
        url_failures=url_failures(session, limit=FAILURES),
        stage_failures=stage_failures(session, limit=FAILURES),
    )


@router.post("")
async def start(service: ServiceDep, job: Annotated[Job, Form()]) -> Response:
    """Start a job, and show it; while Dagster is away it waits there."""
    row, _ = await run_in_threadpool(write_request, service, job, force=False, idempotency_key=None)
    with suppress(DagsterAway):  # its sensor finds the request when it is back; the page says that it is queued
        await launch(service, row)
    return RedirectResponse(f"/jobs/{row.id}", 303)


@router.get("/{request_id}")
async def watch(request: Request, row: RequestDep, service: ServiceDep) -> Response:
    """Show a job as it stands; only what changes to the script that follows it."""
    job = await as_it_stands(service, row)
    template = "job_board.html" if is_fragment(request) else "job.html"
    return await run_in_threadpool(page, request, template, job=job, ended=job.state in ENDED)


@router.post("/{request_id}/cancel")
async def call_off(row: RequestDep, service: ServiceDep) -> Response:
    """Call a job off, and show it."""
    await cancel(row, service)
    return RedirectResponse(f"/jobs/{row.id}", 303)
