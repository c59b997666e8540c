"""A crawl that was cut off is gone on with, in its own time."""

import time
from collections.abc import Iterator

import dagster as dg
import pytest

from lib.storage import sources
from lib.storage.library import Library
from orchestration.definitions import defs
from orchestration.interrupted_crawls import interrupted_crawl, pause_after

HOUR_S = 3600.0


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance in memory."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def cut_off(library: Library) -> Library:
    """A library in which a crawl has begun and not ended."""
    with library.database.session() as session:
        source = sources.upsert_source(session, "museum", {"name": "museum"}, enabled=True)
        sources.open_frontier(session, source, ["http://museum.example/"])
        session.commit()
    return library


def end_a_scrape(instance: dg.DagsterInstance, status: dg.DagsterRunStatus) -> None:
    """Put an ended scrape into Dagster's records."""
    run = instance.create_run_for_job(defs.resolve_job_def("scrape"), status=dg.DagsterRunStatus.STARTED)
    if status == dg.DagsterRunStatus.FAILURE:
        instance.report_run_failed(run)
    else:
        instance.report_run_canceled(run)


def is_started(instance: dg.DagsterInstance, library: Library, *, later_s: float = 0.0) -> bool:
    """Return whether the sensor would start a scrape that much later."""
    return isinstance(interrupted_crawl(instance, library, now=time.time() + later_s), dg.RunRequest)


def test_a_crawl_that_was_cut_off_is_gone_on_with(instance: dg.DagsterInstance, cut_off: Library) -> None:
    assert is_started(instance, cut_off)


def test_a_library_without_a_crawl_starts_none(instance: dg.DagsterInstance, library: Library) -> None:
    assert not is_started(instance, library)


def test_a_source_that_was_switched_off_is_left_alone(instance: dg.DagsterInstance, cut_off: Library) -> None:
    with cut_off.database.session() as session:
        sources.upsert_source(session, "museum", {"name": "museum"}, enabled=False)
        session.commit()
    assert not is_started(instance, cut_off)


def test_nothing_is_started_beside_a_scrape(instance: dg.DagsterInstance, cut_off: Library) -> None:
    instance.create_run_for_job(defs.resolve_job_def("scrape"), status=dg.DagsterRunStatus.STARTING)
    assert not is_started(instance, cut_off, later_s=HOUR_S)


def test_failures_in_a_row_space_the_attempts_out(instance: dg.DagsterInstance, cut_off: Library) -> None:
    for failures in (1, 2, 3):
        end_a_scrape(instance, dg.DagsterRunStatus.FAILURE)
        assert not is_started(instance, cut_off, later_s=pause_after(failures) - 5)
        assert is_started(instance, cut_off, later_s=pause_after(failures) + 5)


def test_a_scrape_that_somebody_canceled_stays_so(instance: dg.DagsterInstance, cut_off: Library) -> None:
    end_a_scrape(instance, dg.DagsterRunStatus.CANCELED)
    assert not is_started(instance, cut_off, later_s=HOUR_S)
