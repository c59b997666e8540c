"""Sources that are scraped by schedules of their own; every test says what time it is."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from lib.storage import sources
from lib.storage.library import Library
from lib.storage.tables import Source
from orchestration.definitions import defs
from orchestration.resources import LibraryResource
from orchestration.triggers import daily_scrape, scheduled_scrapes

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance in memory."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def add_source(library: Library, name: str, *, enabled: bool = True, since: datetime = NOON, **rules: Any) -> None:
    """Add a source or renew its rules, and say since when its schedule counts."""
    rules = {"name": name, "start_urls": [f"http://{name}.example/"], **rules}
    with library.database.session() as session:
        sources.upsert_source(session, name, rules, enabled=enabled)
        session.execute(sa.update(Source).where(Source.name == name).values(schedule_served_at=since))
        session.commit()


def launch(instance: dg.DagsterInstance, request: dg.RunRequest, status: dg.DagsterRunStatus) -> dg.DagsterRun:
    """Do what Dagster's daemon does with a request."""
    job = defs.resolve_job_def("scrape")
    return instance.create_run_for_job(job, run_config=dict(request.run_config), tags=request.tags, status=status)


def names(requests: list[dg.RunRequest]) -> list[str]:
    """Return the sources that these requests scrape."""
    return [name for request in requests for name in request.run_config["ops"]["scraped_images"]["config"]["sources"]]


def test_each_source_is_scraped_at_its_own_time(instance: dg.DagsterInstance, library: Library) -> None:
    add_source(library, "early", schedule="0 13 * * *")
    add_source(library, "late", schedule="30 13 * * *")
    add_source(library, "abroad", schedule="0 15 * * *", timezone="Europe/Moscow")  # 12:00 UTC, which has been
    add_source(library, "never")
    add_source(library, "disabled", schedule="0 13 * * *", enabled=False)
    assert names(scheduled_scrapes(instance, library, now=NOON + HOUR - timedelta(seconds=1))) == []
    (request,) = scheduled_scrapes(instance, library, now=NOON + HOUR)
    assert request.run_config["ops"]["scraped_images"]["config"] == {"sources": ["early"], "only_due": True}
    assert request.run_key == "early@2026-03-02T13:00:00+00:00"
    assert names(scheduled_scrapes(instance, library, now=NOON + 2 * HOUR)) == ["early", "late"]


def test_a_time_that_has_its_run_is_served_and_the_next_one_comes(
    instance: dg.DagsterInstance, library: Library
) -> None:
    add_source(library, "museum", schedule="0 * * * *")
    (request,) = scheduled_scrapes(instance, library, now=NOON + HOUR)
    launch(instance, request, dg.DagsterRunStatus.SUCCESS)
    assert scheduled_scrapes(instance, library, now=NOON + HOUR) == []
    instance.wipe()  # runs are pruned; what was served stays known
    assert scheduled_scrapes(instance, library, now=NOON + 1.5 * HOUR) == []
    assert names(scheduled_scrapes(instance, library, now=NOON + 2 * HOUR)) == ["museum"]


def test_a_week_of_missed_times_is_one_scrape(instance: dg.DagsterInstance, library: Library) -> None:
    add_source(library, "museum", schedule="*/5 * * * *")
    (request,) = scheduled_scrapes(instance, library, now=NOON + 168 * HOUR)
    launch(instance, request, dg.DagsterRunStatus.SUCCESS)
    assert scheduled_scrapes(instance, library, now=NOON + 168 * HOUR) == []


@pytest.mark.parametrize("running", [{}, {"ops": {"scraped_images": {"config": {"sources": ["museum"]}}}}])
def test_a_source_that_is_being_scraped_waits_for_the_end(
    instance: dg.DagsterInstance, library: Library, running: dict[str, Any]
) -> None:
    add_source(library, "museum", schedule="0 * * * *")
    job = defs.resolve_job_def("scrape")
    run = instance.create_run_for_job(job, run_config=running, status=dg.DagsterRunStatus.STARTED)
    assert scheduled_scrapes(instance, library, now=NOON + HOUR) == []
    instance.report_run_canceled(run)
    assert names(scheduled_scrapes(instance, library, now=NOON + HOUR)) == ["museum"]


def test_a_run_on_another_source_or_another_job_is_no_reason_to_wait(
    instance: dg.DagsterInstance, library: Library
) -> None:
    add_source(library, "museum", schedule="0 * * * *")
    other = {"ops": {"scraped_images": {"config": {"sources": ["zoo"]}}}}
    for job, config in (("scrape", other), ("derive", {})):
        instance.create_run_for_job(defs.resolve_job_def(job), run_config=config, status=dg.DagsterRunStatus.STARTED)
    assert names(scheduled_scrapes(instance, library, now=NOON + HOUR)) == ["museum"]


def test_rules_that_cannot_be_understood_stop_no_other_source(instance: dg.DagsterInstance, library: Library) -> None:
    add_source(library, "broken", schedule="61 * * * *")
    add_source(library, "museum", schedule="0 * * * *")
    assert names(scheduled_scrapes(instance, library, now=NOON + HOUR)) == ["museum"]


def test_a_schedule_counts_from_when_it_was_set(library: Library) -> None:
    """Renewing the same rules at every start makes up nothing and forgets nothing."""
    add_source(library, "museum")

    def served_after(**rules: Any) -> datetime:
        with library.database.session() as session:
            enabled = rules.pop("enabled", True)
            sources.upsert_source(session, "museum", {"name": "museum", **rules}, enabled=enabled)
            session.commit()
            return session.scalars(sa.select(Source.schedule_served_at)).one()

    first = served_after(schedule="0 4 * * *", timezone="UTC")
    assert first > NOON
    assert served_after(schedule="0 4 * * *", timezone="UTC") == first
    assert served_after(schedule="0 4 * * *", timezone="UTC", enabled=False) == first
    again = served_after(schedule="0 4 * * *", timezone="UTC", enabled=True)
    assert again > first
    assert served_after(schedule="0 4 * * *", timezone="Asia/Tokyo") > again


def test_the_daily_schedule_takes_the_sources_without_one(library: Library) -> None:
    assert isinstance(daily_scrape(library), dg.SkipReason)
    add_source(library, "museum", schedule="0 * * * *")
    add_source(library, "zoo", schedule=None)
    request = daily_scrape(library)
    assert isinstance(request, dg.RunRequest)
    assert names([request]) == ["zoo"]


def test_the_sensor_itself_starts_a_source_that_was_added_while_it_ran(
    instance: dg.DagsterInstance, library: Library, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITRINE_HOME", str(library.settings.home))
    monkeypatch.setenv("DATABASE_URL", server_url.replace("+psycopg", ""))
    sensor = defs.resolve_sensor_def("source_schedule_sensor")

    def tick() -> list[dg.RunRequest]:
        with dg.build_sensor_context(instance=instance, resources={"library": LibraryResource()}) as context:
            return list(sensor.evaluate_tick(context).run_requests or [])

    assert tick() == []
    add_source(library, "museum", schedule="* * * * *", since=datetime.now(UTC) - HOUR)
    (request,) = tick()
    assert names([request]) == ["museum"]
    job = defs.resolve_job_def("scrape")
    assert dg.validate_run_config(job, dict(request.run_config))
