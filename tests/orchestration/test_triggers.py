"""What starts by itself, and what ends what nobody ended."""

import time
from collections.abc import Iterator

import dagster as dg
import pytest

from lib.storage import ledger
from lib.storage.library import Library
from lib.storage.requests import add_request, queued_requests
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


def test_a_run_that_was_written_down_and_never_queued_is_ended(instance: dg.DagsterInstance, library: Library) -> None:
    run = instance.create_run_for_job(defs.resolve_job_def("derive"), status=dg.DagsterRunStatus.NOT_STARTED)
    with library.database.session() as session:
        assert end_dead_runs(instance, session, grace_s=0) == [run.run_id]


def test_a_young_run_is_given_time_to_import_its_code(instance: dg.DagsterInstance, library: Library) -> None:
    instance.create_run_for_job(defs.resolve_job_def("derive"), status=dg.DagsterRunStatus.STARTED)
    with library.database.session() as session:
        assert end_dead_runs(instance, session, grace_s=60) == []


def test_a_run_that_leaves_the_queue_is_young_however_long_it_waited(
    instance: dg.DagsterInstance, library: Library
) -> None:
    run = instance.create_run_for_job(defs.resolve_job_def("derive"), status=dg.DagsterRunStatus.NOT_STARTED)
    time.sleep(1.2)
    starting = dg.DagsterEvent(dg.DagsterEventType.PIPELINE_STARTING.value, run.job_name, message="leaves the queue")
    instance.report_dagster_event(starting, run.run_id)
    with library.database.session() as session:
        assert end_dead_runs(instance, session, grace_s=1) == []
        time.sleep(1.2)
        assert end_dead_runs(instance, session, grace_s=1) == [run.run_id]


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
