"""When things run by themselves.

Automation conditions react to edges (a parent was updated); the sensors here look at levels, because an edge is lost
when a run fails.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from lib.models.registry import STAGE_OF_ROLE
from lib.storage import ledger, models, sources
from lib.storage.library import Library
from lib.storage.requests import launched_requests, mark_ended, mark_launched, queued_requests
from lib.storage.tables import JobRequest
from orchestration import jobs, source_schedules
from orchestration.interrupted_crawls import interrupted_crawl_sensor
from orchestration.partitions import ALL_BUCKETS_TAGS
from orchestration.reconcile import end_dead_runs
from orchestration.resources import REQUEST_TAG, LibraryResource

MAX_RUNS_PER_REQUEST = 8
# How Dagster writes down what it thinks of a failed run.
FAILURE_REASON_TAG, STEP_FAILURE = "dagster/failure_reason", "STEP_FAILURE"
WILL_RETRY_TAG, RETRIED_BY_TAG = "dagster/will_retry", "dagster/auto_retry_run_id"
LAUNCH_PATIENCE_S = 15.0  # the API launches what it was asked for by itself; this is for when it could not
RUNNING = dg.DefaultSensorStatus.RUNNING
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

automation = dg.AutomationConditionSensorDefinition(
    "automation", target=dg.AssetSelection.all(), default_status=RUNNING, minimum_interval_seconds=30
)


@dg.sensor(job=jobs.derive, minimum_interval_seconds=30, default_status=RUNNING)
def pending_work_sensor(context: dg.SensorEvaluationContext, library: LibraryResource) -> dg.RunRequest | dg.SkipReason:
    """Start a run over all buckets when images lack results and no run is under way."""
    return pending_work(context.instance, library.library)


def pending_work(instance: dg.DagsterInstance, library: Library) -> dg.RunRequest | dg.SkipReason:
    """Return the run that pending images call for, or why none is started."""
    with library.database.session() as session:
        due = {
            STAGE_OF_ROLE[model.role]: ledger.due_count(
                session, ledger.Work(STAGE_OF_ROLE[model.role], model.spec_id, "")
            )
            for model in models.all_models(session)
            if model.state != "retired"
        }
    if not any(due.values()):
        return dg.SkipReason("nothing is pending")
    if instance.get_runs(dg.RunsFilter(statuses=UNFINISHED), limit=1):
        return dg.SkipReason(f"a run is under way; pending: {due}")
    return dg.RunRequest(tags=dict(ALL_BUCKETS_TAGS))


@dg.sensor(jobs=jobs.ALL_JOBS, minimum_interval_seconds=10, default_status=RUNNING)
def scrape_request_sensor(context: dg.SensorEvaluationContext, library: LibraryResource) -> dg.SensorResult:
    """End dead runs; launch what was asked for while Dagster was away, and again what it lost."""
    with library.library.database.session() as session:
        end_dead_runs(context.instance, session)
    wanted = unserved_requests(context.instance, library.library, older_than_s=LAUNCH_PATIENCE_S)
    return dg.SensorResult(run_requests=wanted)


def unserved_requests(instance: dg.DagsterInstance, library: Library, *, older_than_s: float) -> list[dg.RunRequest]:
    """Return a run for each request that has none, or whose runs have all crashed; close those that have ended.

    A request counts as launched only when its run exists: a tick that dies after its decision decides the same again,
    and the run key keeps that from happening twice.
    """
    wanted: list[dg.RunRequest] = []
    with library.database.session() as session:
        for request in queued_requests(session, older_than_s=older_than_s):
            runs = _runs_of(instance, request)
            if runs:
                mark_launched(session, request.id, runs[0].run_id)
            else:
                wanted.append(_run_request(request, number=0))
        for request in launched_requests(session):
            runs = _runs_of(instance, request)
            if _is_given_up(runs):
                wanted.append(_run_request(request, number=len(runs)))
            elif all(run.is_finished and not _will_be_retried(run) for run in runs):
                mark_ended(session, request.id)
        session.commit()
    return wanted


def _runs_of(instance: dg.DagsterInstance, request: JobRequest) -> list[dg.DagsterRun]:
    """Return the runs that have served a request, newest first, those included that Dagster started as retries."""
    return list(instance.get_runs(dg.RunsFilter(tags={REQUEST_TAG: request.id})))


def _is_given_up(runs: Sequence[dg.DagsterRun]) -> bool:
    """Return whether the newest run crashed and Dagster will not retry it.

    It gives up when its code server is away at the very moment of retrying. A run that failed by itself has said why.
    """
    if not runs or len(runs) >= MAX_RUNS_PER_REQUEST or any(not run.is_finished for run in runs):
        return False
    newest = runs[0]
    has_crashed = newest.status == dg.DagsterRunStatus.FAILURE and newest.tags.get(FAILURE_REASON_TAG) != STEP_FAILURE
    return has_crashed and newest.tags.get(WILL_RETRY_TAG) == "false"


def _will_be_retried(run: dg.DagsterRun) -> bool:
    """Return whether Dagster has yet to retry a failed run, or to decide it."""
    if run.status != dg.DagsterRunStatus.FAILURE or RETRIED_BY_TAG in run.tags:
        return False
    return run.tags.get(WILL_RETRY_TAG) != "false"


def _run_request(request: JobRequest, *, number: int) -> dg.RunRequest:
    range_tags = ALL_BUCKETS_TAGS if request.job in jobs.NEED_RANGE else {}
    return dg.RunRequest(
        run_key=f"{request.id}-{number}" if number else request.id,
        job_name=request.job,
        run_config=request.config,
        tags={REQUEST_TAG: request.id, **range_tags},
    )


@dg.sensor(job=jobs.scrape, minimum_interval_seconds=20, default_status=RUNNING)
def source_schedule_sensor(context: dg.SensorEvaluationContext, library: LibraryResource) -> dg.SensorResult:
    """Scrape each source by its own schedule, as its rules give it."""
    return dg.SensorResult(run_requests=scheduled_scrapes(context.instance, library.library, now=datetime.now(UTC)))


def scheduled_scrapes(instance: dg.DagsterInstance, library: Library, *, now: datetime) -> list[dg.RunRequest]:
    """Return the scrapes that the schedules of sources ask for at ``now``."""
    unfinished = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    with library.database.session() as session:
        wanted = source_schedules.serve(instance, session, unfinished, now=now)
        session.commit()
    return wanted


@dg.schedule(job=jobs.scrape, cron_schedule="0 4 * * *")
def scrape_daily(library: LibraryResource) -> dg.RunRequest | dg.SkipReason:
    """Scrape the sources that have no schedule of their own: the pages that are due."""
    return daily_scrape(library.library)


def daily_scrape(library: Library) -> dg.RunRequest | dg.SkipReason:
    """Return the scrape of all sources without a schedule of their own, or why there is none."""
    with library.database.session() as session:
        names = [source.name for source in sources.enabled_sources(session) if not source.rules.get("schedule")]
    if not names:
        return dg.SkipReason("every enabled source has a schedule of its own")
    return dg.RunRequest(run_config=source_schedules.scrape_config(names))


maintain_nightly = dg.ScheduleDefinition(
    name="maintain_nightly",
    job=jobs.maintain,
    cron_schedule="30 3 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)

ALL_SENSORS = [
    automation,
    pending_work_sensor,
    scrape_request_sensor,
    source_schedule_sensor,
    interrupted_crawl_sensor,
]
ALL_SCHEDULES = [scrape_daily, maintain_nightly]
