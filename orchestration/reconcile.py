"""Ending runs whose process is gone.

A run holds an advisory lock for as long as it lives. Dagster notices a worker that dies alone, but when the worker, the
code server and the daemon die together the run stays STARTED and the next one QUEUED; the free lock tells the truth.
``python -m orchestration.reconcile`` does it once, for the command line.
"""

import argparse
import time

import dagster as dg
import structlog
from sqlalchemy.orm import Session

from lib import logs
from lib.settings import Settings
from lib.storage import ledger
from lib.storage.library import open_library

GRACE_S = 60.0  # from its launch to the lock a run imports its code
LOOK_AGAIN_S = 1.0  # a run that ends well lets go of its lock just before Dagster hears of it
log = structlog.get_logger()
# NOT_STARTED: its launcher died between writing it down and queueing it. QUEUED runs are the daemon's to start.
OPEN_STATUSES = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def end_dead_runs(instance: dg.DagsterInstance, session: Session, *, launched_before: float | None = None) -> list[str]:
    """Mark as failed each open run whose lock is free at two looks; return their ids.

    A run that has not come as far as its lock is spared if it was launched after ``launched_before``, in seconds since
    1970; without that, if it is younger than ``GRACE_S``.
    """
    horizon = time.time() - GRACE_S if launched_before is None else launched_before
    suspects = [
        run.run_id
        for run in _lockless(instance, session)
        if _launch_time(instance, run.run_id) < horizon or _had_its_lock(instance, run.run_id)
    ]
    if not suspects:
        return []
    time.sleep(LOOK_AGAIN_S)
    dead = [run for run in _lockless(instance, session) if run.run_id in suspects]
    for run in dead:
        instance.report_run_failed(
            run, "The process of this run is gone. Its work is kept; a new run goes on from here."
        )
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        log.warning("dead_run_ended", run_id=run.run_id, job=run.job_name)
    return [run.run_id for run in dead]


def _lockless(instance: dg.DagsterInstance, session: Session) -> list[dg.DagsterRun]:
    runs = instance.get_runs(dg.RunsFilter(statuses=OPEN_STATUSES))
    return [run for run in runs if not ledger.is_running(session, run.run_id)]


def _had_its_lock(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Return whether a run has opened the library: from then until its end it holds the lock."""
    opened = dg.DagsterEventType.RESOURCE_INIT_SUCCESS
    return bool(instance.get_records_for_run(run_id, of_type=opened, limit=1).records)


def _launch_time(instance: dg.DagsterInstance, run_id: str) -> float:
    """Return when the run's process was launched, which may be long after the run was queued; else when it was made."""
    launched: float | None = instance.get_run_stats(run_id).launch_time
    record = instance.get_run_record_by_id(run_id)
    made = record.create_timestamp.timestamp() if record else 0.0
    return made if launched is None else launched


def main() -> None:
    """End the dead runs of this library."""
    parser = argparse.ArgumentParser(prog="python -m orchestration.reconcile", description=__doc__)
    parser.add_argument("--launched-before", type=float, help="seconds since 1970; runs of the last minute are spared")
    launched_before = parser.parse_args().launched_before
    settings = Settings()
    logs.configure(settings.log_level, file=settings.home_path / "logs" / "reconcile.log")
    with (
        open_library(settings) as library,
        dg.DagsterInstance.get() as instance,
        library.database.session() as session,
    ):
        end_dead_runs(instance, session, launched_before=launched_before)


if __name__ == "__main__":
    main()
