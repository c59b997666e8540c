"""What starts by itself, and what ends what nobody ended."""

import threading
import time
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.events import EngineEventData, JobFailureData, RunFailureReason

from lib.storage import ledger
from lib.storage.library import Library
from lib.storage.requests import add_request, launched_requests, mark_launched, queued_requests
from orchestration.definitions import defs
from orchestration.partitions import ALL_BUCKETS_TAGS
from orchestration.reconcile import LOOK_AGAIN_S, end_dead_runs
from orchestration.triggers import REQUEST_TAG, pending_work, unserved_requests
from tests.conftest import AddImage

STEP_FAILED = JobFailureData(error=None, failure_reason=RunFailureReason.STEP_FAILURE)


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
        assert end_dead_runs(instance, session, launched_before=time.time()) == [dead.run_id]
    statuses = {run.run_id: run.status for run in instance.get_runs()}
    assert statuses == {dead.run_id: dg.DagsterRunStatus.FAILURE, alive.run_id: dg.DagsterRunStatus.STARTED}


def test_a_run_that_was_written_down_and_never_queued_is_ended(instance: dg.DagsterInstance, library: Library) -> None:
    run = instance.create_run_for_job(defs.resolve_job_def("derive"), status=dg.DagsterRunStatus.NOT_STARTED)
    with library.database.session() as session:
        assert end_dead_runs(instance, session, launched_before=time.time()) == [run.run_id]


def test_a_young_run_is_given_time_to_import_its_code(instance: dg.DagsterInstance, library: Library) -> None:
    instance.create_run_for_job(defs.resolve_job_def("derive"), status=dg.DagsterRunStatus.STARTED)
    with library.database.session() as session:
        assert end_dead_runs(instance, session) == []


def test_a_young_run_that_had_its_lock_and_lost_it_is_ended(instance: dg.DagsterInstance, library: Library) -> None:
    job = defs.resolve_job_def("derive")
    dead, alive = (instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED) for _ in range(2))
    for run in (dead, alive):
        opened = dg.DagsterEvent(
            dg.DagsterEventType.RESOURCE_INIT_SUCCESS.value, run.job_name, event_specific_data=EngineEventData()
        )
        instance.report_dagster_event(opened, run.run_id)
    with ledger.running(library.database, alive.run_id), library.database.session() as session:
        assert end_dead_runs(instance, session) == [dead.run_id]


def test_a_run_that_ends_well_between_two_looks_is_left_alone(instance: dg.DagsterInstance, library: Library) -> None:
    run = instance.create_run_for_job(defs.resolve_job_def("derive"), status=dg.DagsterRunStatus.STARTED)
    ending = threading.Timer(
        LOOK_AGAIN_S / 2,
        lambda: instance.report_dagster_event(
            dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, run.job_name, message="done"), run.run_id
        ),
    )
    ending.start()
    with library.database.session() as session:
        assert end_dead_runs(instance, session, launched_before=time.time()) == []
    ending.join()
    (now,) = instance.get_runs()
    assert now.status == dg.DagsterRunStatus.SUCCESS


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


def launched_request(instance: dg.DagsterInstance, library: Library) -> tuple[str, dg.DagsterRun]:
    """Return a request that a run serves, as the API leaves it, and the run."""
    with library.database.session() as session:
        request_id = add_request(session, "derive", {})[0].id
        run = instance.create_run_for_job(defs.resolve_job_def("derive"), tags={REQUEST_TAG: request_id})
        mark_launched(session, request_id, run.run_id)
        session.commit()
    return request_id, run


def open_requests(library: Library) -> list[str]:
    """Return the requests that are not done with."""
    with library.database.session() as session:
        return [request.id for request in (*queued_requests(session), *launched_requests(session))]


def test_a_request_whose_run_was_lost_and_not_retried_is_launched_again(
    instance: dg.DagsterInstance, library: Library
) -> None:
    request_id, run = launched_request(instance, library)
    instance.report_run_failed(run)
    instance.add_run_tags(run.run_id, {"dagster/will_retry": "false"})
    (wanted,) = unserved_requests(instance, library, older_than_s=0)
    assert wanted.tags[REQUEST_TAG] == request_id
    assert wanted.run_key != request_id  # that key has had its run
    assert open_requests(library) == [request_id]


def test_a_request_whose_run_dagster_will_retry_is_left_to_it(instance: dg.DagsterInstance, library: Library) -> None:
    request_id, run = launched_request(instance, library)
    instance.report_run_failed(run)
    instance.add_run_tags(run.run_id, {"dagster/will_retry": "true"})
    assert unserved_requests(instance, library, older_than_s=0) == []
    assert open_requests(library) == [request_id]


def test_a_request_whose_run_failed_by_itself_has_its_answer(instance: dg.DagsterInstance, library: Library) -> None:
    _, run = launched_request(instance, library)
    instance.report_run_failed(run, job_failure_data=STEP_FAILED)
    instance.add_run_tags(run.run_id, {"dagster/will_retry": "false"})
    assert unserved_requests(instance, library, older_than_s=0) == []
    assert open_requests(library) == []


def test_a_run_that_waited_long_to_be_launched_is_not_taken_for_a_dead_one(
    instance: dg.DagsterInstance, library: Library
) -> None:
    run = instance.create_run_for_job(defs.resolve_job_def("derive"))
    time.sleep(0.05)
    made_long_ago = time.time()
    time.sleep(0.05)
    starting = dg.DagsterEvent(dg.DagsterEventType.PIPELINE_STARTING.value, run.job_name, message="launched")
    instance.report_dagster_event(starting, run.run_id)
    with library.database.session() as session:
        assert end_dead_runs(instance, session, launched_before=made_long_ago) == []
        assert end_dead_runs(instance, session, launched_before=time.time()) == [run.run_id]
