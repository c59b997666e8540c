"""Scraping and deriving, on request."""

from collections.abc import Sequence
from uuid import uuid4

from .. import running_jobs
from ..models import Job, JobAnswer, JobRequestPage
from ..operations import AnyConnection, Group, event_operation, job_operation, list_operation, operation
from ..requests import JSON, PagedRequest, Request, answer


class Jobs(Group[AnyConnection]):
    """Jobs, and the requests for them."""

    @job_operation()
    def run(
        self,
        job: Job,
        *,
        force: bool = False,
        sources: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Request[JobAnswer]:
        """Start a job, and return it on its way: walk it for its progress, ``wait()`` for its end, ``cancel()`` it.

        ``sources`` limit a scrape to these.
        """
        return _start(job, force=force, wait=False, sources=sources, idempotency_key=idempotency_key)

    @job_operation()
    def follow(self, request_id: str) -> Request[JobAnswer]:
        """Return a job that was asked for earlier."""
        return running_jobs.look(request_id)

    @operation("jobs_start_job")
    def start(
        self,
        job: Job,
        *,
        force: bool = False,
        wait: bool = False,
        sources: Sequence[str] | None = None,
        idempotency_key: str | None = None,
    ) -> Request[JobAnswer]:
        """Start a job, and return how it stands; with ``wait``, when it has ended, for as long as the timeout allows.

        Sent again with the same ``idempotency_key``, it starts nothing; without one, every call starts a job of its
        own, once, however often the request has to be repeated.
        """
        return _start(job, force=force, wait=wait, sources=sources, idempotency_key=idempotency_key)

    @list_operation("jobs_list_all")
    def all(self, *, limit: int | None = None, cursor: str | None = None) -> PagedRequest[JobRequestPage, JobAnswer]:
        """List what was asked for, newest first."""

        def page(behind: str | None) -> Request[JobRequestPage]:
            query = {"limit": limit, "cursor": behind or cursor}
            return Request("GET", "/v1/requests", answer(JobRequestPage), query)

        return PagedRequest(page, lambda page: page.items, lambda page: page.next)

    @operation("jobs_look")
    def look(self, request_id: str) -> Request[JobAnswer]:
        """Say what became of a request; its counts stand beside once its run has ended."""
        return running_jobs.look(request_id)

    @event_operation("jobs_events")
    def events(self, request_id: str) -> Request[JobAnswer]:
        """Watch a request: how it stands whenever that has changed, its end last."""
        return running_jobs.events(request_id)

    @operation("jobs_cancel")
    def cancel(self, request_id: str) -> Request[JobAnswer]:
        """Call a request off; what its run has done until then is kept. Conflict when it has ended already."""
        return running_jobs.cancel(request_id)


def _start(
    job: Job, *, force: bool, wait: bool, sources: Sequence[str] | None, idempotency_key: str | None
) -> Request[JobAnswer]:
    # The key is made here, before anything is sent, so that all attempts carry the same one.
    key = {"idempotency-key": idempotency_key or str(uuid4())}
    query = {"force": force, "wait": wait, "sources": sources}
    return Request("POST", f"/v1/jobs/{job}", answer(JobAnswer), query, headers=JSON | key, harmless_twice=True)
