"""Sites to scrape, and what is remembered of their pages and image URLs between visits."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from lib.errors import SourceNotFound
from lib.storage.database import Database
from lib.storage.tables import FrontierUrl, Image, ImageUrl, Page, Sighting, Source

RETRY_AFTER_S = 600
MAX_RETRY_AFTER_S = 7 * 86_400
RECHECK_REFUSED = timedelta(days=7)
SCRAPE_LOCK = 0x5363_7270  # the first half of a source's advisory lock
log = structlog.get_logger()


@dataclass(frozen=True)
class SeenImage:
    """An image URL as a page shows it."""

    url: str
    alt: str
    position: int


@dataclass(frozen=True)
class PageVisit:
    """The outcome of one visit to a page that was new or had changed."""

    url: str
    status: str  # ok, refused, failed
    reason: str | None = None
    detail: str | None = None
    title: str | None = None
    links: Sequence[str] = ()
    dependencies: Sequence[Mapping[str, Any]] = ()
    images: Sequence[SeenImage] = ()


@dataclass(frozen=True)
class LastVisit:
    """What a page showed at its last visit, how long ago that was, and what was planned then."""

    status: str
    reason: str | None
    links: Sequence[str]
    image_urls: Sequence[str]
    visit_interval: timedelta | None
    age: timedelta

    def differs_from(self, visit: PageVisit) -> bool:
        """Return whether a visit found other links or pictures, or another outcome.

        A new time stamp in a page's HTML is no change, nor is another order.
        """
        return (
            (self.status, self.reason) != (visit.status, visit.reason)
            or set(self.links) != set(visit.links)
            or set(self.image_urls) != {image.url for image in visit.images}
        )


@dataclass(frozen=True)
class ImageVisit:
    """The outcome of one request for an image URL."""

    url: str
    status: str  # ok, refused, failed
    reason: str | None = None
    detail: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    retry_after_s: float | None = None
    image_id: int | None = None


def upsert_source(session: Session, name: str, rules: Mapping[str, Any], *, enabled: bool) -> int:
    """Add a source or renew its rules; return its id.

    A schedule counts from when it was set: neither a new one nor a source that is enabled again has times to make up.
    """
    values = {"rules": dict(rules), "enabled": enabled}
    statement = insert(Source).values(name=name, **values)
    renewed = sa.or_(
        *(Source.rules[key].is_distinct_from(statement.excluded.rules[key]) for key in ("schedule", "timezone")),
        sa.and_(~Source.enabled, statement.excluded.enabled),
    )
    served = sa.case((renewed, sa.func.now()), else_=Source.schedule_served_at)
    row = session.execute(
        statement.on_conflict_do_update(
            index_elements=["name"], set_={**values, "schedule_served_at": served}
        ).returning(Source.id)
    ).one()
    return row[0]


def note_schedule_served(session: Session, source_id: int, scheduled: datetime) -> None:
    """Note that the times of a source's schedule are served up to and including ``scheduled``."""
    session.execute(sa.update(Source).where(Source.id == source_id).values(schedule_served_at=scheduled))


@contextmanager
def sole_scraper(database: Database, source: Source) -> Iterator[None]:
    """Hold the lock of who scrapes a source for the length of the block; wait for whoever holds it now.

    Freed by the server when this process dies, whatever killed it.
    """
    key = (SCRAPE_LOCK, source.id)
    with database.engine.connect() as connection:
        connection.detach()  # closing it, or losing it, is what frees the lock
        if not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(*key))):
            log.info("waiting_for_another_scrape", source=source.name)
            connection.execute(sa.select(sa.func.pg_advisory_lock(*key)))
        connection.commit()
        yield


def enabled_sources(session: Session, names: Sequence[str] = ()) -> list[Source]:
    """Return the enabled sources (of these names, if any are given), by name."""
    statement = sa.select(Source).where(Source.enabled).order_by(Source.name)
    if names:
        statement = statement.where(Source.name.in_(names))
    return list(session.scalars(statement))


def all_sources(session: Session) -> list[Source]:
    """Return every source, by name."""
    return list(session.scalars(sa.select(Source).order_by(Source.name)))


def source_by_name(session: Session, name: str) -> Source:
    """Return a source. Raises SourceNotFound."""
    source = session.scalar(sa.select(Source).where(Source.name == name))
    if source is None:
        raise SourceNotFound("there is no source of this name")
    return source


def open_frontier(session: Session, source_id: int, start_urls: Sequence[str], *, only_due: bool = False) -> int:
    """Begin a crawl, or go on with one that was cut off; return how many pages it had visited already.

    Unless it is ``only_due``, it takes up the pages that the one before had left out.
    """
    if not only_due:
        session.execute(
            sa.update(FrontierUrl)
            .where(FrontierUrl.source_id == source_id, FrontierUrl.left_out)
            .values(visited=False, left_out=False)
        )
    visited = session.scalar(sa.select(sa.func.count()).where(FrontierUrl.source_id == source_id, FrontierUrl.visited))
    extend_frontier(session, source_id, start_urls, depth=0)
    return visited or 0


def extend_frontier(session: Session, source_id: int, urls: Iterable[str], *, depth: int) -> None:
    """Queue page URLs that this crawl does not know yet, in order."""
    rows = [{"source_id": source_id, "url": url, "depth": depth} for url in dict.fromkeys(urls)]
    if rows:
        session.execute(insert(FrontierUrl).on_conflict_do_nothing(), rows)


def next_in_frontier(session: Session, source_id: int) -> tuple[str, int] | None:
    """Return the (url, depth) of the page to visit next, first found first, or None when the crawl is done."""
    row = session.execute(
        sa.select(FrontierUrl.url, FrontierUrl.depth)
        .where(FrontierUrl.source_id == source_id, ~FrontierUrl.visited)
        .order_by(FrontierUrl.depth, FrontierUrl.position)
        .limit(1)
    ).first()
    return None if row is None else (row[0], row[1])


def mark_visited(session: Session, source_id: int, url: str) -> None:
    """Take a page off the queue; its row stays until the crawl ends, so that no link leads back to it."""
    session.execute(
        sa.update(FrontierUrl).where(FrontierUrl.source_id == source_id, FrontierUrl.url == url).values(visited=True)
    )


def mark_left_out(session: Session, source_id: int, url: str) -> None:
    """Note that this crawl counts a page as visited because it was not due."""
    session.execute(
        sa.update(FrontierUrl).where(FrontierUrl.source_id == source_id, FrontierUrl.url == url).values(left_out=True)
    )


def count_frontier(session: Session) -> tuple[int, int]:
    """Return how many pages the crawls under way have visited, and how many they know of and have not."""
    visited = sa.func.count().filter(FrontierUrl.visited)
    done, known = session.execute(sa.select(visited, sa.func.count()).select_from(FrontierUrl)).one()
    return done, known - done


def interrupted_crawls(session: Session) -> list[str]:
    """Return the names of the enabled sources whose crawl has begun and not ended."""
    statement = sa.select(Source.name).where(Source.enabled, sa.exists().where(FrontierUrl.source_id == Source.id))
    return list(session.scalars(statement.order_by(Source.name)))


def close_frontier(session: Session, source_id: int) -> None:
    """End a crawl."""
    session.execute(sa.delete(FrontierUrl).where(FrontierUrl.source_id == source_id))


def known_page(session: Session, source_id: int, url: str) -> Page | None:
    """Return what was remembered of a page."""
    return session.scalar(
        sa.select(Page).where(Page.source_id == source_id, Page.url == url, Page.cleared_in.is_(None))
    )


def images_on_page(session: Session, page_id: int) -> list[str]:
    """Return the image URLs that a page shows, in the order in which they stand there."""
    statement = (
        sa.select(ImageUrl.url)
        .join(Sighting, Sighting.image_url_id == ImageUrl.id)
        .join(Page, Page.id == Sighting.page_id)
        .where(Page.id == page_id, Sighting.last_seen_at >= Page.changed_at)
        .order_by(Sighting.position)
    )
    return list(session.scalars(statement))


def last_visit(session: Session, source_id: int, url: str) -> LastVisit | None:
    """Return what a page showed when it was last visited, or None for one that is new."""
    page = known_page(session, source_id, url)
    if page is None:
        return None
    since = sa.type_coerce(sa.func.now() - Page.last_visit_at, sa.Interval())
    age = session.scalars(sa.select(since).where(Page.id == page.id)).one()
    shown = images_on_page(session, page.id)
    return LastVisit(page.status, page.reason, page.links, shown, page.visit_interval, age)


def is_due(session: Session, page_id: int) -> bool:
    """Return whether a scrape of what is due should visit a page now."""
    due = sa.func.coalesce(Page.next_visit_at <= sa.func.now(), True)
    return bool(session.scalar(sa.select(due).where(Page.id == page_id)))


def plan_visit(session: Session, page_id: int, *, interval: timedelta, due_after: timedelta) -> None:
    """Remember how often a page should be visited; it is due ``due_after`` from now."""
    values = {"visit_interval": interval, "next_visit_at": sa.func.now() + due_after}
    session.execute(sa.update(Page).where(Page.id == page_id).values(values))


def touch_page(session: Session, page_id: int) -> None:
    """Note that a page was visited and had not changed."""
    session.execute(sa.update(Page).where(Page.id == page_id).values(last_visit_at=sa.func.now()))


def record_page(session: Session, source_id: int, visit: PageVisit, *, changed: bool = True) -> int:
    """Store a visit with the image URLs and sightings that it found; return the page's id.

    The page is due again at once unless :func:`plan_visit` says otherwise. ``changed`` as by
    :meth:`LastVisit.differs_from`.
    """
    values = {
        "status": visit.status,
        "reason": visit.reason,
        "detail": visit.detail,
        "title": visit.title,
        "links": list(visit.links),
        "dependencies": [dict(dependency) for dependency in visit.dependencies],
        "last_visit_at": sa.func.now(),
        "next_visit_at": None,
    }
    if changed:
        values["changed_at"] = sa.func.now()
    statement = insert(Page).values(source_id=source_id, url=visit.url, **values)
    page_id = session.execute(
        statement.on_conflict_do_update(
            index_elements=["source_id", "url"], index_where=sa.text("cleared_in IS NULL"), set_=values
        ).returning(Page.id)
    ).scalar_one()
    _record_sightings(session, page_id, visit.images)
    return page_id


def _record_sightings(session: Session, page_id: int, images: Sequence[SeenImage]) -> None:
    if not images:
        return
    urls = list(dict.fromkeys(image.url for image in images))
    session.execute(
        insert(ImageUrl).on_conflict_do_nothing(index_elements=["url"], index_where=sa.text("cleared_in IS NULL")),
        [{"url": url} for url in urls],
    )
    known = sa.select(ImageUrl.url, ImageUrl.id).where(ImageUrl.url.in_(urls), ImageUrl.cleared_in.is_(None))
    ids = dict(session.execute(known).all())
    first_of_each = {image.url: image for image in reversed(images)}
    rows = [
        {"page_id": page_id, "image_url_id": ids[image.url], "alt": image.alt, "position": image.position}
        for image in sorted(first_of_each.values(), key=lambda image: image.position)
    ]
    statement = insert(Sighting)
    renewed = {
        "alt": statement.excluded.alt,
        "position": statement.excluded.position,
        "last_seen_at": sa.func.now(),
    }
    session.execute(statement.on_conflict_do_update(index_elements=["page_id", "image_url_id"], set_=renewed), rows)


def due_image_urls(session: Session, urls: Sequence[str], *, recheck_after: timedelta) -> list[ImageUrl]:
    """Return those of ``urls`` that should be asked for now, in the order given.

    Due are new ones, failed ones whose pause is over, refused ones after a week, and good ones older than
    ``recheck_after``.
    """
    age = sa.func.now() - ImageUrl.checked_at
    due = sa.or_(
        ImageUrl.status == "new",
        sa.and_(ImageUrl.status == "failed", ImageUrl.next_attempt_at <= sa.func.now()),
        sa.and_(ImageUrl.status == "refused", age > RECHECK_REFUSED),
        sa.and_(ImageUrl.status == "ok", age > recheck_after),
    )
    rows = session.scalars(sa.select(ImageUrl).where(ImageUrl.url.in_(urls), ImageUrl.cleared_in.is_(None), due))
    by_url = {row.url: row for row in rows}
    return [by_url[url] for url in dict.fromkeys(urls) if url in by_url]


def touch_image_url(session: Session, url: str) -> None:
    """Note that an image URL was asked for and had not changed."""
    session.execute(
        sa.update(ImageUrl).where(ImageUrl.url == url, ImageUrl.cleared_in.is_(None)).values(checked_at=sa.func.now())
    )


def record_image_url(session: Session, visit: ImageVisit) -> None:
    """Store the outcome of a request for an image URL; a failure is due again after a growing pause."""
    row = session.scalars(
        sa.select(ImageUrl).where(ImageUrl.url == visit.url, ImageUrl.cleared_in.is_(None)).with_for_update()
    ).one()
    row.status, row.reason, row.detail = visit.status, visit.reason, visit.detail
    row.checked_at = sa.func.now()
    row.attempts = 0 if visit.status == "ok" else row.attempts + 1
    row.next_attempt_at = None
    if visit.status == "failed":
        pause = min(RETRY_AFTER_S * 4 ** min(row.attempts - 1, 6), MAX_RETRY_AFTER_S)
        row.next_attempt_at = sa.func.now() + timedelta(seconds=max(pause, visit.retry_after_s or 0))
    if visit.status == "ok":
        row.etag, row.last_modified, row.image_id = visit.etag, visit.last_modified, visit.image_id


def retry_failed_urls(session: Session) -> int:
    """Make every failed or refused image URL due at once, and every failed page; return how many URLs there were."""
    rows = session.execute(
        sa.update(ImageUrl)
        .where(ImageUrl.status.in_(("failed", "refused")), ImageUrl.cleared_in.is_(None))
        .values(status="new", attempts=0, next_attempt_at=None)
        .returning(ImageUrl.id)
    )
    return len(rows.all())


def count_images_of(session: Session, source_id: int) -> int:
    """Return how many live images were seen on a source's live pages."""
    statement = (
        sa.select(sa.func.count(sa.distinct(Image.id)))
        .join(ImageUrl, ImageUrl.image_id == Image.id)
        .join(Sighting, Sighting.image_url_id == ImageUrl.id)
        .join(Page, Page.id == Sighting.page_id)
        .where(Page.source_id == source_id, Page.cleared_in.is_(None), Image.cleared_in.is_(None))
    )
    return session.scalar(statement) or 0


def count_image_urls(session: Session) -> dict[str, int]:
    """Return the number of live image URLs by status, refusals and failures by their reason as ``refused:robots``."""
    label = sa.func.concat_ws(":", ImageUrl.status, ImageUrl.reason)
    rows = session.execute(
        sa.select(label, sa.func.count()).where(ImageUrl.cleared_in.is_(None)).group_by(label).order_by(label)
    )
    return dict(rows.all())


def count_pages(session: Session, source_id: int | None = None) -> dict[str, int]:
    """Return the number of live pages (of one source) by status, as :func:`count_image_urls` does."""
    label = sa.func.concat_ws(":", Page.status, Page.reason)
    statement = sa.select(label, sa.func.count()).where(Page.cleared_in.is_(None)).group_by(label).order_by(label)
    if source_id is not None:
        statement = statement.where(Page.source_id == source_id)
    return dict(session.execute(statement).all())
