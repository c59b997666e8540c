"""Run jobs in this process, against the library's Dagster instance: ``python -m orchestration.execute scrape derive``.

For the command line and for scripts: the run, its events and its metadata are in the Dagster UI like any other. Each
materialisation is one line of JSON on standard output.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any

import dagster as dg
import structlog

from orchestration.definitions import defs
from orchestration.jobs import NEED_RANGE
from orchestration.partitions import ALL_BUCKETS_TAGS


def execute(instance: dg.DagsterInstance, job: str, config: Mapping[str, Any] | None = None) -> bool:
    """Run one job, print what it materialised, and return whether it succeeded."""
    tags = dict(ALL_BUCKETS_TAGS) if job in NEED_RANGE else {}
    result = defs.resolve_job_def(job).execute_in_process(
        instance=instance, tags=tags, run_config=config, raise_on_error=False
    )
    printed: set[str] = set()
    for event in result.get_asset_materialization_events():
        name = event.step_materialization_data.materialization.asset_key.to_user_string()
        if name not in printed:  # a range of partitions reports the same step once for each
            printed.add(name)
            sys.stdout.write(json.dumps({"asset": name, "metadata": _plain(event)}) + "\n")
            sys.stdout.flush()
    return result.success


def _plain(event: dg.DagsterEvent) -> dict[str, Any]:
    metadata = event.step_materialization_data.materialization.metadata
    return {key: value.value for key, value in metadata.items()}


def main() -> int:
    """Run the jobs named on the command line, in that order, and stop at the first that fails."""
    # Standard output is for materialisations alone.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    with dg.DagsterInstance.get() as instance:
        return 0 if all(execute(instance, job) for job in sys.argv[1:]) else 1


if __name__ == "__main__":
    sys.exit(main())
