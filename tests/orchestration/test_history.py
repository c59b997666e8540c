"""Dagster's records stay bounded: a real instance on a real PostgreSQL, through many runs and prunings."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml

from lib.cli.environment import DAGSTER_YAML
from lib.settings import Settings
from orchestration import history

KEEP = 3
RUN_TABLES = ("runs", "run_tags", "event_logs", "asset_check_executions", "asset_event_tags")


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["00"]), check_specs=[dg.AssetCheckSpec("whole", asset="toy")])
def toy() -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """An asset with a check, as ours are."""
    yield dg.MaterializeResult(metadata={"rows": 1}, tags={"size": "small"})
    yield dg.AssetCheckResult(passed=True, check_name="whole")


@pytest.fixture
def dagster_url(server_url: str) -> str:
    """The URL of a database for Dagster's records."""
    url = sa.make_url(server_url)
    with sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool).connect() as connection:
        connection.execute(sa.text("DROP DATABASE IF EXISTS records WITH (FORCE)"))
        connection.execute(sa.text("CREATE DATABASE records"))
    return url.set(drivername="postgresql+psycopg2", database="records").render_as_string(hide_password=False)


@pytest.fixture
def instance(dagster_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance with the settings that our processes get."""
    monkeypatch.setenv("VITRINE_DAGSTER_DATABASE_URL", dagster_url)
    (tmp_path / "dagster.yaml").write_text(DAGSTER_YAML)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


def run(instance: dg.DagsterInstance, times: int) -> list[str]:
    """Materialise the asset and return the ids of the runs."""
    results = [dg.materialize([toy], instance=instance, partition_key="00") for _ in range(times)]
    return [result.run_id for result in results]


def rows(dagster_url: str) -> dict[str, int]:
    """Return how many rows the tables have in which runs leave any."""
    with sa.create_engine(dagster_url, poolclass=sa.NullPool).connect() as connection:
        return {name: connection.scalar(sa.select(sa.func.count()).select_from(sa.table(name))) for name in RUN_TABLES}


def execute(dagster_url: str, statement: str, **parameters: str) -> int:
    """Execute a statement and return how many rows it met."""
    with sa.create_engine(dagster_url, poolclass=sa.NullPool).begin() as connection:
        return connection.execute(sa.text(statement), parameters).rowcount


def test_however_many_runs_there_were_the_records_are_those_of_the_kept_ones(
    instance: dg.DagsterInstance, dagster_url: str
) -> None:
    run(instance, KEEP)
    of_kept = rows(dagster_url)
    assert min(of_kept.values()) > 0
    newest = run(instance, 5)[-KEEP:]
    pruned = history.prune(instance, dagster_url, keep=KEEP)
    assert pruned.runs == 5
    assert {record.run_id for record in instance.get_runs()} == set(newest)
    assert rows(dagster_url) == of_kept
    assert history.prune(instance, dagster_url, keep=KEEP) == history.Pruned(0, 0)


def test_runs_are_deleted_in_batches_and_the_oldest_first(
    instance: dg.DagsterInstance, dagster_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "BATCH", 2)
    ids = run(instance, 6)
    assert history.prune_runs(instance, keep=1) == 5
    assert [record.run_id for record in instance.get_runs()] == ids[-1:]


def test_a_run_that_has_not_ended_is_kept(instance: dg.DagsterInstance, dagster_url: str) -> None:
    open_run = dg.Definitions([toy]).resolve_job_def("__ASSET_JOB")
    started = instance.create_run_for_job(open_run, status=dg.DagsterRunStatus.STARTED)
    run(instance, 2)
    assert history.prune_runs(instance, keep=1) == 1
    assert instance.get_run_by_id(started.run_id) is not None


def test_what_a_deletion_left_behind_goes_once_it_is_old(instance: dg.DagsterInstance, dagster_url: str) -> None:
    """A process that dies between the run's row and its events leaves events that belong to nothing."""
    (lost, _kept) = run(instance, 2)
    execute(dagster_url, "DELETE FROM runs WHERE run_id = :lost", lost=lost)
    events = rows(dagster_url)["event_logs"]
    history.prune(instance, dagster_url, keep=KEEP)
    assert rows(dagster_url)["event_logs"] == events
    aging = "UPDATE event_logs SET timestamp = timestamp - interval '31 days' WHERE run_id = :lost"
    aged = execute(dagster_url, aging, lost=lost)
    history.prune(instance, dagster_url, keep=KEEP)
    assert rows(dagster_url)["event_logs"] == events - aged


def test_the_last_word_on_a_check_outlives_its_run(instance: dg.DagsterInstance, dagster_url: str) -> None:
    run(instance, 2)
    execute(dagster_url, "UPDATE runs SET status = 'CANCELED'")
    history.prune_runs(instance, keep=0)
    history.prune(instance, dagster_url, keep=KEEP)
    assert rows(dagster_url)["asset_check_executions"] == 1


def test_backfills_that_ended_are_bounded_too(instance: dg.DagsterInstance, dagster_url: str) -> None:
    backfill = "INSERT INTO bulk_actions (key, status, timestamp, body) VALUES (:key, :status, now(), '')"
    for number in range(5):
        key, status = f"b{number}", "COMPLETED_SUCCESS" if number else "REQUESTED"
        execute(dagster_url, backfill, key=key, status=status)
        execute(dagster_url, "INSERT INTO backfill_tags (backfill_id, key, value) VALUES (:key, 'k', 'v')", key=key)
    assert history.prune(instance, dagster_url, keep=2).leftovers == 4  # two backfills and their tags
    with sa.create_engine(dagster_url, poolclass=sa.NullPool).connect() as connection:
        kept = connection.scalars(sa.text("SELECT key FROM bulk_actions ORDER BY key")).all()
    assert kept == ["b0", "b3", "b4"]


def test_ticks_and_evaluations_have_an_end_as_well() -> None:
    retention = yaml.safe_load(DAGSTER_YAML)["retention"]
    days = [retention[kind]["purge_after_days"] for kind in ("sensor", "schedule", "auto_materialize")]
    assert all(value > 0 for entry in days for value in (entry.values() if isinstance(entry, dict) else [entry]))


def test_how_many_runs_are_kept_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_KEPT_RUNS", "42")
    assert Settings().kept_runs == 42
