"""Going on with crawls that were cut off: as long as a source's queue of pages is not empty, its crawl has not ended.

A crash is retried by Dagster; a scrape that failed otherwise (no browser to be had, a database that went away) is not.
The queue is the level to look at, and failures in a row space the attempts out.
"""

import time
from itertools import takewhile

import dagster as dg

from lib.storage import sources
from lib.storage.library import Library
from orchestration import jobs
from orchestration.resources import LibraryResource

FIRST_PAUSE_S, LONGEST_PAUSE_S = 15.0, 6 * 3600.0
LOOK_BACK = 10
ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


@dg.sensor(job=jobs.scrape, minimum_interval_seconds=15, default_status=dg.DefaultSensorStatus.RUNNING)
def interrupted_crawl_sensor(
    context: dg.SensorEvaluationContext, library: LibraryResource
) -> dg.RunRequest | dg.SkipReason:
    """Start a scrape when one was cut off and none is under way."""
    return interrupted_crawl(context.instance, library.library, now=time.time())


def interrupted_crawl(instance: dg.DagsterInstance, library: Library, *, now: float) -> dg.RunRequest | dg.SkipReason:
    """Return the run that an unfinished crawl calls for at time ``now`` (seconds since 1970), or why none is started.

    A crawl that somebody canceled stays as it is until somebody starts one.
    """
    with library.database.session() as session:
        if not sources.interrupted_crawls(session):
            return dg.SkipReason("no crawl was cut off")
    latest = instance.get_run_records(dg.RunsFilter(job_name=jobs.scrape.name), limit=LOOK_BACK)
    if any(record.dagster_run.status not in ENDED for record in latest):
        return dg.SkipReason("a scrape is under way")
    if latest and latest[0].dagster_run.status == dg.DagsterRunStatus.CANCELED:
        return dg.SkipReason("the latest scrape was canceled")
    failures = list(takewhile(lambda record: record.dagster_run.status == dg.DagsterRunStatus.FAILURE, latest))
    due = (failures[0].end_time or 0.0) + pause_after(len(failures)) if failures else 0.0
    if now < due:
        return dg.SkipReason(f"the latest scrape failed; trying again in {due - now:.0f} s")
    return dg.RunRequest()


def pause_after(failures: int) -> float:
    """Return how many seconds to wait after so many failures in a row.

    >>> [pause_after(failures) for failures in (1, 2, 3, 10)]
    [15.0, 60.0, 240.0, 21600.0]
    """
    return min(FIRST_PAUSE_S * 4.0 ** (failures - 1), LONGEST_PAUSE_S)
