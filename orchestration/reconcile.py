"""Ending runs whose process is gone.

A run holds an advisory lock for as long as it lives. Dagster notices a worker that dies alone, but when the worker, the
code server and the daemon die together the run stays STARTED and the next one QUEUED; the free lock tells the truth.
``python -m orchestration.reconcile`` does it once, before anything else starts (``--patient``: beside others).
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

GRACE_S = 60.0  # from STARTED to the lock a run imports its code
log = structlog.get_logger()
# NOT_STARTED: its launcher died between writing it down and queueing it. QUEUED runs are the daemon's to start.
OPEN_STATUSES = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def end_dead_runs(instance: dg.DagsterInstance, session: Session, *, grace_s: float = GRACE_S) -> list[str]:
    """Mark as failed each run that began more than ``grace_s`` ago and whose lock is free; return their ids."""
    horizon = time.time() - grace_s
    records = instance.get_run_records(dg.RunsFilter(statuses=OPEN_STATUSES))
    # A run that is starting may have waited in the queue for hours: what counts is when it left it.
    old = [
        record.dagster_run for record in records if (record.start_time or record.update_timestamp.timestamp()) < horizon
    ]
    dead = [run for run in old if not ledger.is_running(session, run.run_id)]
    for run in dead:
        instance.report_run_failed(
            run, "The process of this run is gone. Its work is kept; a new run goes on from here."
        )
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        log.warning("dead_run_ended", run_id=run.run_id, job=run.job_name)
    return [run.run_id for run in dead]


def main() -> None:
    """End the dead runs of this library; where nothing of it runs yet, there is nobody to be patient with."""
    parser = argparse.ArgumentParser(prog="python -m orchestration.reconcile", description=__doc__)
    parser.add_argument("--patient", action="store_true", help="spare the young: others may be starting runs")
    grace_s = GRACE_S if parser.parse_args().patient else 0.0
    settings = Settings()
    logs.configure(settings.log_level, file=settings.home_path / "logs" / "reconcile.log")
    with (
        open_library(settings) as library,
        dg.DagsterInstance.get() as instance,
        library.database.session() as session,
    ):
        end_dead_runs(instance, session, grace_s=grace_s)


if __name__ == "__main__":
    main()
