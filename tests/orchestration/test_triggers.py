"""What starts by itself, and what ends what nobody ended."""

from collections.abc import Iterator

import dagster as dg
import pytest

from lib.storage import ledger
from lib.storage.library import Library
from lib.storage.requests import add_request, queued_requests
from orchestration import jobs
from orchestration.definitions import defs
from orchestration.partitions import ALL_BUCKETS_TAGS
from orchestration.reconcile import end_dead_runs
from orchestration.triggers import pending_work, unserved_requests
from tests.conftest import AddImage


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance in memory."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def test_an_empty_library_starts_nothing(instance: dg.DagsterInstance, library: Library) -> None:
    assert isinstance(pending_work(instance, library), dg.SkipReason)


def test_an_image_that_lacks_something_starts_a_run_over_all_buckets(
    instance: dg.DagsterInstance, library: Library, add_image: AddImage
) -> None:
    add_image("green")
    request = pending_work(instance, library)
    assert isinstance(request, dg.RunRequest)
    assert request.tags == ALL_BUCKETS_TAGS


def test_nothing_is_started_beside_a_run_that_is_under_way(
    instance: dg.DagsterInstance, library: Library, add_image: AddImage
) -> None:
    add_image("green")
    instance.create_run_for_job(defs.resolve_job_def("derive"), status=dg.DagsterRunStatus.STARTING)
    assert isinstance(pending_work(instance, library), dg.SkipReason)


def test_a_run_whose_process_is_gone_is_ended(instance: dg.DagsterInstance, library: Library) -> None:
    job = defs.resolve_job_def("derive")
    dead, alive = (instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED) for _ in range(2))
    with ledger.running(library.database, alive.run_id), library.database.session() as session:
        assert end_dead_runs(instance, session, grace_s=0) == [dead.run_id]
    statuses = {run.run_id: run.status for run in instance.get_runs()}
    assert statuses == {dead.run_id: dg.DagsterRunStatus.FAILURE, alive.run_id: dg.DagsterRunStatus.STARTED}


def test_a_young_run_is_given_time_to_import_its_code(instance: dg.DagsterInstance, library: Library) -> None:
    instance.create_run_for_job(defs.resolve_job_def("derive"), status=dg.DagsterRunStatus.STARTED)
    with library.database.session() as session:
        assert end_dead_runs(instance, session, grace_s=60) == []


def test_a_request_that_dagster_missed_is_launched_once_and_then_closed(
    instance: dg.DagsterInstance, library: Library
) -> None:
    with library.database.session() as session:
        request_id = add_request(session, "derive", {})[0].id
        session.commit()
    (wanted,) = unserved_requests(instance, library, older_than_s=0)
    assert (wanted.run_key, wanted.job_name) == (request_id, "derive")
    assert ALL_BUCKETS_TAGS.items() <= wanted.tags.items()
    instance.create_run_for_job(defs.resolve_job_def("derive"), tags=wanted.tags)
    assert unserved_requests(instance, library, older_than_s=0) == []
    with library.database.session() as session:
        assert queued_requests(session) == []


def test_old_runs_are_pruned(instance: dg.DagsterInstance) -> None:
    job = defs.resolve_job_def("derive")
    for _ in range(5):
        instance.create_run_for_job(job, status=dg.DagsterRunStatus.SUCCESS)
    assert jobs.prune_runs(instance, keep=2) == 3
    assert len(instance.get_runs()) == 2
