"""Run jobs in this process, against the library's Dagster instance: ``python -m orchestration.execute scrape derive``.

For the command line and for scripts: the run, its events and its metadata are in the Dagster UI like any other. Each
materialisation is one line of JSON on standard output, and nothing else is; log lines go to standard error.
"""

import argparse
import json
import sys
import uuid
from collections.abc import Mapping
from typing import Any

import dagster as dg

from lib import logs
from lib.settings import Settings
from lib.storage import ledger
from lib.storage.library import open_library
from orchestration.definitions import defs
from orchestration.jobs import ALL_JOBS, DERIVED, NEED_RANGE
from orchestration.partitions import ALL_BUCKETS_TAGS, BUCKET_KEYS


def execute(
    instance: dg.DagsterInstance, job: str, *, tags: Mapping[str, str] = ALL_BUCKETS_TAGS, force: bool = False
) -> bool:
    """Run one job, print what it materialised, and return whether it succeeded.

    ``tags`` name the range of buckets, for jobs that have any; ``force`` computes again what is there.
    """
    definition = defs.resolve_job_def(job)
    run_id = str(uuid.uuid4())
    # Held before Dagster hears of the run: a reconciler beside us must not take it for a dead one.
    with open_library(Settings()) as library, ledger.running(library.database, run_id):
        result = definition.execute_in_process(
            instance=instance,
            run_id=run_id,
            tags=dict(tags) if job in NEED_RANGE else {},
            run_config=_forced(definition) if force else None,
            raise_on_error=False,
        )
    printed: set[str] = set()
    for event in result.get_asset_materialization_events():
        name = event.step_materialization_data.materialization.asset_key.to_user_string()
        if name not in printed:  # a range of partitions reports the same step once for each
            printed.add(name)
            sys.stdout.write(json.dumps({"asset": name, "metadata": _plain(event)}) + "\n")
            sys.stdout.flush()
    return result.success


def _forced(job: dg.JobDefinition) -> dict[str, Any]:
    derived = [node.name for node in job.nodes if node.name in DERIVED]
    return {"ops": {name: {"config": {"force": True}} for name in derived}}


def _plain(event: dg.DagsterEvent) -> dict[str, Any]:
    metadata = event.step_materialization_data.materialization.metadata
    return {key: value.value for key, value in metadata.items()}


def bucket_range(text: str) -> dict[str, str]:
    """Return the tags that stand for a range of buckets.

    >>> bucket_range("00:03")["dagster/asset_partition_range_end"]
    '03'
    """
    first, _, last = text.partition(":")
    if first not in BUCKET_KEYS or (last or first) not in BUCKET_KEYS:
        raise argparse.ArgumentTypeError(f"buckets are {BUCKET_KEYS[0]} to {BUCKET_KEYS[-1]}, a range is 00:07")
    return dict(zip(ALL_BUCKETS_TAGS, (first, last or first), strict=True))


def main() -> int:
    """Run the jobs named on the command line, in that order, and stop at the first that fails."""
    parser = argparse.ArgumentParser(prog="python -m orchestration.execute", description=__doc__)
    parser.add_argument("jobs", nargs="+", choices=sorted(job.name for job in ALL_JOBS), metavar="JOB")
    parser.add_argument("--buckets", type=bucket_range, default=dict(ALL_BUCKETS_TAGS), metavar="FIRST:LAST")
    parser.add_argument("--force", action="store_true", help="compute again what is there")
    wanted = parser.parse_args()
    settings = Settings()
    logs.configure(settings.log_level, file=settings.home_path / "logs" / "run.log")
    with dg.DagsterInstance.get() as instance:
        runs = (execute(instance, job, tags=wanted.buckets, force=wanted.force) for job in wanted.jobs)
        return 0 if all(runs) else 1


if __name__ == "__main__":
    sys.exit(main())
