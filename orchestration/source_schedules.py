"""Scrapes that sources ask for by schedules of their own.

Looked at as levels: a source has a latest scheduled time and a last one that was served, both in the database. So a
source that was added a moment ago needs no reload, and times that passed while nothing ran are one.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dagster as dg
import structlog
from pydantic import ValidationError
from sqlalchemy.orm import Session

from lib.scraping.schedules import due_since
from lib.scraping.site import Site
from lib.storage import sources
from lib.storage.tables import Source

SOURCE_TAG = "vitrine/source"
SCHEDULED_TAG = "vitrine/scheduled_for"
SCRAPED = dg.AssetKey("scraped_images")
log = structlog.get_logger()


@dataclass(frozen=True)
class DueScrape:
    """A scheduled time of a source that has not been served."""

    source_id: int
    name: str
    scheduled: datetime

    @property
    def tags(self) -> dict[str, str]:
        """The tags that its run carries."""
        return {SOURCE_TAG: self.name, SCHEDULED_TAG: self.scheduled.isoformat()}


def own_schedule(source: Source) -> tuple[str, str] | None:
    """Return the (cron, time zone) of a source, or None if it has none or its rules are not to be understood."""
    try:
        site = Site.model_validate(source.rules)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        log.error("source_rules_invalid", source=source.name, error=faults)
        return None
    return (site.schedule, site.timezone) if site.schedule else None


def due_scrapes(wanted: Sequence[Source], *, now: datetime) -> list[DueScrape]:
    """Return the sources whose schedule is to be served at ``now``, with the time to be served."""
    due: list[DueScrape] = []
    for source in wanted:
        if schedule := own_schedule(source):
            scheduled = due_since(*schedule, served=source.schedule_served_at, now=now)
            if scheduled is not None:
                due.append(DueScrape(source.id, source.name, scheduled))
    return due


def sources_being_scraped(runs: Sequence[dg.DagsterRun], names: Set[str]) -> set[str]:
    """Return which of the sources ``names`` these unfinished runs are scraping or are about to."""
    busy: set[str] = set()
    for run in runs:
        if _scrapes(run):
            busy |= _named_sources(run.run_config) or names  # none named means all
    return busy & names


def _named_sources(run_config: Any) -> set[str]:
    op = (run_config.get("ops") or {}).get(SCRAPED.to_user_string()) or {}
    return set((op.get("config") or {}).get("sources") or ())


def _scrapes(run: dg.DagsterRun) -> bool:
    return SCRAPED in run.asset_selection if run.asset_selection else run.job_name in ("scrape", "refresh_all")


def serve(
    instance: dg.DagsterInstance, session: Session, unfinished: Sequence[dg.DagsterRun], *, now: datetime
) -> list[dg.RunRequest]:
    """Return a run for each source that is due and not being scraped; note those that have their run as served.

    A time is noted only once its run exists: a tick that dies after its decision decides the same again, and the run
    key keeps that from happening twice.
    """
    due = due_scrapes(sources.enabled_sources(session), now=now)
    busy = sources_being_scraped(unfinished, {scrape.name for scrape in due})
    wanted: list[dg.RunRequest] = []
    for scrape in due:
        if instance.get_runs(dg.RunsFilter(tags=scrape.tags), limit=1):
            sources.note_schedule_served(session, scrape.source_id, scrape.scheduled)
        elif scrape.name not in busy:
            wanted.append(_run_request(scrape))
    return wanted


def _run_request(scrape: DueScrape) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"{scrape.name}@{scrape.scheduled.isoformat()}",
        run_config=scrape_config([scrape.name]),
        tags=scrape.tags,
    )


def scrape_config(names: Sequence[str]) -> dict[str, object]:
    """Return the configuration of a scheduled scrape: the pages of these sources that are due.

    >>> scrape_config(["museum"])
    {'ops': {'scraped_images': {'config': {'sources': ['museum'], 'only_due': True}}}}
    """
    return {"ops": {"scraped_images": {"config": {"sources": list(names), "only_due": True}}}}
