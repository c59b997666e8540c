"""A job on its way: watched by server-sent events, waited for, called off."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING

import anyio

from .models import JobAnswer
from .problems import JobFailed, JobStillRunning
from .requests import Request, answer

if TYPE_CHECKING:  # the connections make the jobs
    from .async_connection import AsyncConnection
    from .connection import Connection

ENDED = frozenset({"SUCCESS", "FAILURE", "CANCELED", "canceled", "ended"})
WITHOUT_SUCCESS = frozenset({"FAILURE", "CANCELED", "canceled"})
NOT_BEGUN = frozenset({"queued", "launched", "NOT_STARTED", "QUEUED", "STARTING"})
LOOK_EVERY_S = 1.0
OnProgress = Callable[[JobAnswer], object]


def look(request_id: str) -> Request[JobAnswer]:
    """Say what became of a request; its counts stand beside once its run has ended."""
    return Request("GET", f"/v1/requests/{request_id}", answer(JobAnswer))


def events(request_id: str) -> Request[JobAnswer]:
    """Watch a request: how it stands whenever that has changed, its end last."""
    accept = {"accept": "text/event-stream"}
    return Request("GET", f"/v1/requests/{request_id}/events", answer(JobAnswer), headers=accept)


def cancel(request_id: str) -> Request[JobAnswer]:
    """Call a request off: before its run has begun for good, afterwards as soon as the run can stop."""
    return Request("POST", f"/v1/requests/{request_id}/cancel", answer(JobAnswer))


class JobState:
    """How a job stood when it was last looked at."""

    def __init__(self, answer: JobAnswer) -> None:
        self.answer = answer

    @property
    def request_id(self) -> str:
        """What the job is found by later: ``client.jobs.follow(request_id)``."""
        return self.answer.request_id

    @property
    def state(self) -> str:
        """`queued`, `launched`, then Dagster's word: STARTED, SUCCESS, ..."""
        return self.answer.state

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ENDED

    @property
    def share_done(self) -> float | None:
        """The share of the images that are done with in the job's stages, 0 to 1; None before the run has begun."""
        if self.state in NOT_BEGUN:
            return None
        stages = (self.answer.progress or {}).values()
        done = sum(stage.done + stage.dead for stage in stages)
        whole = sum(stage.done + stage.dead + stage.pending + stage.failed for stage in stages)
        return 1.0 if self.state == "SUCCESS" else done / whole if whole else None

    def _noted(self, now: JobAnswer) -> JobAnswer:
        self.answer = now
        return now

    def _outcome(self) -> JobAnswer:
        if self.state in WITHOUT_SUCCESS:
            raise JobFailed(self.answer)
        return self.answer


class RunningJob(JobState):
    """A job on its way. ``for now in job`` yields how it stands, at each change, until its end."""

    def __init__(self, connection: "Connection", answer: JobAnswer) -> None:
        super().__init__(answer)
        self._connection = connection

    def __iter__(self) -> Iterator[JobAnswer]:
        for now in self._connection.events(events(self.request_id)):
            yield self._noted(now)

    def look(self) -> JobAnswer:
        """Return how it stands now."""
        return self._noted(self._connection.send(look(self.request_id)))

    def wait(self, timeout_s: float | None = None, on_progress: OnProgress | None = None) -> JobAnswer:
        """Return the last word when it has ended; ``on_progress`` is called with each change until then.

        Raises JobFailed; JobStillRunning after ``timeout_s``, and the job goes on.
        """
        deadline = _Deadline(timeout_s)
        before = None
        while True:
            now = self.look()
            if now != before and on_progress is not None:
                on_progress(now)
            if self.has_ended:
                return self._outcome()
            before = now
            time.sleep(deadline.pause_s(now))

    def cancel(self) -> JobAnswer:
        """Call it off; what it has done until then is kept. Raises Conflict when it has ended already."""
        return self._noted(self._connection.send(cancel(self.request_id)))


class AsyncRunningJob(JobState):
    """A job on its way. ``async for now in job`` yields how it stands, at each change, until its end."""

    def __init__(self, connection: "AsyncConnection", answer: JobAnswer) -> None:
        super().__init__(answer)
        self._connection = connection

    async def __aiter__(self) -> AsyncIterator[JobAnswer]:
        async for now in self._connection.events(events(self.request_id)):
            yield self._noted(now)

    async def look(self) -> JobAnswer:
        """Return how it stands now."""
        return self._noted(await self._connection.send(look(self.request_id)))

    async def wait(self, timeout_s: float | None = None, on_progress: OnProgress | None = None) -> JobAnswer:
        """Return the last word when it has ended; ``on_progress`` is called with each change until then.

        Raises JobFailed; JobStillRunning after ``timeout_s``, and the job goes on.
        """
        deadline = _Deadline(timeout_s)
        before = None
        while True:
            now = await self.look()
            if now != before and on_progress is not None:
                on_progress(now)
            if self.has_ended:
                return self._outcome()
            before = now
            await anyio.sleep(deadline.pause_s(now))

    async def cancel(self) -> JobAnswer:
        """Call it off; what it has done until then is kept. Raises Conflict when it has ended already."""
        return self._noted(await self._connection.send(cancel(self.request_id)))


class _Deadline:
    """The end of a wait."""

    def __init__(self, timeout_s: float | None) -> None:
        self._timeout_s = timeout_s
        self._began = time.monotonic()

    def pause_s(self, now: JobAnswer) -> float:
        """Return how long to wait before the next look. Raises JobStillRunning when there is none."""
        if self._timeout_s is None:
            return LOOK_EVERY_S
        left_s = self._began + self._timeout_s - time.monotonic()
        if left_s <= 0:
            raise JobStillRunning(now, self._timeout_s)
        return min(left_s, LOOK_EVERY_S)
