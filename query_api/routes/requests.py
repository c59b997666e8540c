"""Requests for jobs: listed, looked at, watched while they run, called off."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Depends, Path, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent

from lib.errors import Conflict
from lib.storage.requests import cancel_queued, list_requests
from lib.storage.tables import JobRequest
from query_api.cursors import cursor_after, read_cursor
from query_api.dependencies import PageCursor, ServiceDep, SessionDep
from query_api.job_requests import answer, as_it_stands, read_request
from query_api.schemas.jobs import JobAnswer, JobRequestPage
from query_api.service import Service

router = APIRouter(prefix="/v1/requests", tags=["jobs"])
LOOK_EVERY_S = 1.0
ENDED = frozenset({"SUCCESS", "FAILURE", "CANCELED", "canceled", "ended"})


async def asked_for(
    request_id: Annotated[str, Path(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")], service: ServiceDep
) -> JobRequest:
    """Return the request that the path names. Raises NotFound."""
    return await run_in_threadpool(read_request, service, request_id)


RequestDep: TypeAlias = Annotated[JobRequest, Depends(asked_for)]


@router.get("")
def list_all(
    service: ServiceDep,
    session: SessionDep,
    cursor: PageCursor = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> JobRequestPage:
    """List what was asked for, newest first."""
    before = None if cursor is None else int(read_cursor(cursor, 1)[0])
    rows = list_requests(session, before=before, limit=limit + 1)
    return JobRequestPage(
        items=[answer(service, row) for row in rows[:limit]],
        next=cursor_after(rows[limit - 1].number) if len(rows) > limit else None,
    )


@router.get("/{request_id}")
async def look(row: RequestDep, service: ServiceDep) -> JobAnswer:
    """Say what became of a request; its counts stand beside once its run has ended."""
    return await as_it_stands(service, row)


@router.get("/{request_id}/events", response_class=EventSourceResponse)
async def events(row: RequestDep, service: ServiceDep) -> AsyncIterator[ServerSentEvent]:
    """Send the request as server-sent events, `progress` whenever something has changed, and `end` as the last."""
    before: JobAnswer | None = None
    while True:
        now = await as_it_stands(service, row)
        if now.state in ENDED:
            yield ServerSentEvent(event="end", data=now)
            return
        if now != before:
            yield ServerSentEvent(event="progress", data=now)
        before = now
        await asyncio.sleep(LOOK_EVERY_S)
        row = await run_in_threadpool(read_request, service, row.id)


@router.post("/{request_id}/cancel")
async def cancel(row: RequestDep, service: ServiceDep) -> JobAnswer:
    """Call a request off: before its run has begun for good, afterwards as soon as the run can stop.

    What a run has done until then is kept. 409 when it has ended already.
    """
    if await run_in_threadpool(_take_back, service, row.id):
        row.state = "canceled"
        return answer(service, row)
    row = await run_in_threadpool(read_request, service, row.id)  # it may have been launched in between
    now = await as_it_stands(service, row)
    if row.run_id is None or now.state in ENDED:
        raise Conflict("this request has ended already")
    await service.dagster.terminate(row.run_id)
    return await as_it_stands(service, row)


def _take_back(service: Service, request_id: str) -> bool:
    with service.database.session() as session:
        taken = cancel_queued(session, request_id)
        session.commit()
        return taken
