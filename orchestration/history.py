"""Dagster's own records, kept from growing without bound.

Ticks of sensors and schedules, and evaluations of automation conditions, Dagster purges by itself (``retention`` in
dagster.yaml, thirty days). It never forgets a run, and deleting one leaves its checks, its backfill and, if the process
dies in between, its events behind.
"""

from dataclasses import dataclass

import dagster as dg
import sqlalchemy as sa

BATCH = 100
FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
# Dagster has no way of its own to delete these. What the UI shows as the latest state of an asset or a check stays.
LEFTOVERS = (
    """DELETE FROM event_logs WHERE run_id NOT IN (SELECT run_id FROM runs)
    AND timestamp < timezone('utc', now()) - interval '30 days'
    AND id NOT IN (
        SELECT max(id) FROM event_logs GROUP BY asset_key, dagster_event_type HAVING asset_key IS NOT NULL)""",
    """DELETE FROM asset_check_executions WHERE run_id NOT IN (SELECT run_id FROM runs)
    AND id NOT IN (SELECT max(id) FROM asset_check_executions GROUP BY asset_key, check_name, partition)""",
    """DELETE FROM bulk_actions WHERE status NOT IN ('REQUESTED', 'CANCELING', 'FAILING')
    AND id NOT IN (SELECT id FROM bulk_actions ORDER BY id DESC LIMIT :keep)""",
    """DELETE FROM backfill_tags WHERE backfill_id NOT IN (SELECT key FROM bulk_actions)""",
)


@dataclass(frozen=True)
class Pruned:
    """How many finished runs were deleted, and how many rows that hung on runs like these."""

    runs: int
    leftovers: int


def prune(instance: dg.DagsterInstance, dagster_url: str, *, keep: int) -> Pruned:
    """Delete the finished runs beyond the newest ``keep`` with all that hangs on them.

    ``dagster_url`` is the SQLAlchemy URL of the database that ``instance`` keeps its records in.
    """
    return Pruned(prune_runs(instance, keep=keep), _delete_leftovers(dagster_url, keep=keep))


def prune_runs(instance: dg.DagsterInstance, *, keep: int) -> int:
    """Delete the finished runs beyond the newest ``keep``, oldest first, a hundred at a time; return how many."""
    finished = dg.RunsFilter(statuses=FINISHED)
    surplus = max(0, instance.get_runs_count(finished) - keep)
    left = surplus
    while left > 0:
        oldest = instance.get_run_records(finished, limit=min(BATCH, left), ascending=True)
        if not oldest:  # somebody else deletes too
            break
        for record in oldest:
            instance.delete_run(record.dagster_run.run_id)
        left -= len(oldest)
    return surplus - left


def _delete_leftovers(dagster_url: str, *, keep: int) -> int:
    engine = sa.create_engine(dagster_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        return sum(connection.execute(sa.text(statement), {"keep": keep}).rowcount for statement in LEFTOVERS)
