"""Takedowns: files, addresses and hosts that the library must not show, whoever meets them again.

The list outlives what it names: clearing, restoring and erasing leave it alone, intake asks it in the transaction that
would write the row, and the downloader asks it before each request. Near copies of a file are not recognised.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from lib.errors import Conflict, NotFound, TakenDown
from lib.storage.tables import Generation, Image, ImageUrl, Page, Sighting, Takedown, TakedownKind

TAKEDOWN_LOCK = 0x5669_7472_696E_6506  # held by whoever writes an image's row, or changes the list
HOST_IN_URL = r"^https?://(\[[^]]*\]|[^/:]*)"  # of a canonical URL, an IPv6 address in its brackets
REFUSED, TAKEN_DOWN = "refused", "taken_down"
DELETED = "deleted as a single image"
LIVE_IMAGE = Image.cleared_in.is_(None)


@dataclass(frozen=True)
class Target:
    """What is taken down: the SHA-256 of a file in hex, a canonical URL, or a host with all hosts below it; and why."""

    kind: TakedownKind
    value: str
    reason: str | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class TakedownList:
    """The list as it was read, for many questions without the database."""

    hashes: frozenset[str] = field(default_factory=frozenset)
    urls: frozenset[str] = field(default_factory=frozenset)
    hosts: frozenset[str] = field(default_factory=frozenset)

    def has_url(self, url: str) -> bool:
        """Return whether a canonical URL is listed, by itself or by its host.

        >>> listed = TakedownList(urls=frozenset({"https://a.example/1.jpg"}), hosts=frozenset({"b.example"}))
        >>> [listed.has_url(f"https://{rest}") for rest in ("a.example/1.jpg", "a.example/2.jpg", "cdn.b.example/")]
        [True, False, True]
        """
        return url in self.urls or not self.hosts.isdisjoint(hosts_of(url))

    def targets(self) -> list[Target]:
        """Return all entries."""
        by_kind: dict[TakedownKind, frozenset[str]] = {"sha256": self.hashes, "url": self.urls, "host": self.hosts}
        return [Target(kind, value) for kind, values in by_kind.items() for value in sorted(values)]

    def shows(self, image: "Shown") -> bool:
        """Return whether an image may be shown: its bytes are not listed, and something shows it that is not."""
        if image.sha256 in self.hashes:
            return False
        places = image.places
        return not places or any(not any(self.has_url(url) for url in place) for place in places)


@dataclass(frozen=True)
class Shown:
    """An image with the places that show it: each its own URL, and that of the page where it was seen, if any."""

    image_id: int
    sha256: str
    places: Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Taken:
    """What came of a takedown: its rows, those that were there already included, and how many images are hidden."""

    rows: Sequence[Takedown]
    images: int
    generation: int | None


def hosts_of(url: str) -> list[str]:
    """Return the host of a URL and those above it, nearest first; none for a file on this machine.

    >>> hosts_of("https://img.shop.example:8443/a.jpg"), hosts_of("file://localhost/a.jpg")
    (['img.shop.example', 'shop.example', 'example'], [])
    """
    parts = urlsplit(url)
    if parts.scheme == "file" or not parts.hostname:
        return []
    labels = parts.hostname.split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def all_takedowns(session: Session) -> list[Takedown]:
    """Return the list, newest first."""
    return list(session.scalars(sa.select(Takedown).order_by(Takedown.id.desc())))


def takedown_list(session: Session) -> TakedownList:
    """Return the list as it is now."""
    by_kind: dict[str, set[str]] = {"sha256": set(), "url": set(), "host": set()}
    for kind, value in session.execute(sa.select(Takedown.kind, Takedown.value)):
        by_kind[kind].add(value)
    return TakedownList(*(frozenset(by_kind[kind]) for kind in ("sha256", "url", "host")))


def hold_list(session: Session) -> None:
    """Keep the list as it is until the transaction ends; others who only ask it do not wait."""
    session.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(TAKEDOWN_LOCK)))


def hold_list_alone(session: Session) -> None:
    """Keep others from changing the list, and from taking images in, until the transaction ends."""
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(TAKEDOWN_LOCK)))


def require_permitted(session: Session, sha256: str, url: str) -> None:
    """Raise TakenDown if a file, or the URL that gave it, is listed.

    Whoever is about to write the row calls :func:`hold_list` first: then nothing is listed in between.
    """
    named = sa.or_(
        sa.and_(Takedown.kind == "sha256", Takedown.value == sha256),
        sa.and_(Takedown.kind == "url", Takedown.value == url),
        sa.and_(Takedown.kind == "host", Takedown.value.in_(hosts_of(url))),
    )
    kind = session.scalar(sa.select(Takedown.kind).where(named).limit(1))
    if kind is not None:
        raise TakenDown(TAKEN_DOWN, f"its {kind} is on the list of takedowns")


def require_showable(session: Session, image_id: int) -> None:
    """Raise Conflict if the list forbids to show an image."""
    listed = takedown_list(session)
    if not all(listed.shows(image) for image in _images_of(session, Image.id == image_id)):
        raise Conflict("this image is on the list of takedowns: strike it off first")


def take_down(session: Session, targets: Sequence[Target], *, reason: str | None, restore_days: int) -> Taken:
    """List these targets, and hide the images that nothing else shows. The caller commits.

    ``reason`` is that of the targets without one of their own. With the URL of a picture, the file that it gave is
    listed, too: it may lie elsewhere. What is hidden can come back for ``restore_days``, by :func:`lift` alone.
    """
    hold_list_alone(session)
    wanted = list(dict.fromkeys([*targets, *_files_at(session, targets)]))
    values = [{"kind": target.kind, "value": target.value, "reason": target.reason or reason} for target in wanted]
    session.execute(insert(Takedown).on_conflict_do_nothing(), values)
    rows = session.scalars(
        sa.select(Takedown)
        .where(sa.tuple_(Takedown.kind, Takedown.value).in_([(target.kind, target.value) for target in wanted]))
        .order_by(Takedown.id)
    )
    generation, images = hide(session, wanted, restorable_for=timedelta(days=restore_days))
    return Taken(list(rows), images, generation)


def _files_at(session: Session, targets: Iterable[Target]) -> list[Target]:
    reasons = {target.value: target.reason for target in targets if target.kind == "url"}
    shown = sa.select(Image.sha256, ImageUrl.url).join(ImageUrl, ImageUrl.image_id == Image.id)
    rows = session.execute(shown.where(ImageUrl.url.in_(list(reasons))).order_by(ImageUrl.id))
    return [Target("sha256", sha256, reasons[url]) for sha256, url in rows]


def list_deleted(session: Session, generations: sa.Select[int]) -> None:
    """List the files that somebody deleted in these generations, whose rows are about to be erased."""
    deleted = (
        sa.select(sa.literal("sha256"), Image.sha256, sa.literal(DELETED))
        .join(Generation, Generation.id == Image.cleared_in)
        .where(Generation.kind == "deletion", Generation.id.in_(generations))
    )
    listed = insert(Takedown).from_select(["kind", "value", "reason"], deleted)
    session.execute(listed.on_conflict_do_nothing())


def hide(
    session: Session, targets: Sequence[Target] | None = None, *, restorable_for: timedelta
) -> tuple[int | None, int]:
    """Hide the live images that the list, or these targets of it, forbids; return the generation, and how many."""
    listed = takedown_list(session)
    named = _named_by(listed.targets() if targets is None else targets)
    forbidden = [image.image_id for image in _images_of(session, named, LIVE_IMAGE) if not listed.shows(image)]
    if not forbidden:
        return None, 0
    until = sa.func.now() + restorable_for
    generation = Generation(kind="takedown", restore_until=until, counts={"images": len(forbidden)})
    session.add(generation)
    session.flush()
    session.execute(sa.update(Image).where(Image.id.in_(forbidden)).values(cleared_in=generation.id))
    # Without validators: once the takedown is lifted, the file must be sent again, for it may have been erased.
    refused = {"status": REFUSED, "reason": TAKEN_DOWN, "detail": None, "etag": None, "last_modified": None}
    session.execute(
        sa.update(ImageUrl).where(ImageUrl.image_id.in_(forbidden), ImageUrl.status == "ok").values(refused)
    )
    return generation.id, len(forbidden)


def lift(session: Session, takedown_id: int) -> int:
    """Strike an entry off the list, and bring back what it alone had hidden, unless that is erased; return how many.

    What had been refused for it is due again. Raises NotFound. The caller commits.
    """
    hold_list_alone(session)
    row = session.get(Takedown, takedown_id)
    if row is None:
        raise NotFound("there is no takedown with this id")
    target = Target(row.kind, row.value)
    session.delete(row)
    session.flush()
    listed = takedown_list(session)
    hidden = Image.cleared_in.in_(sa.select(Generation.id).where(Generation.kind == "takedown"))
    candidates = _images_of(session, _named_by([target]), hidden)
    free = [image.image_id for image in candidates if listed.shows(image)]
    session.execute(sa.update(Image).where(Image.id.in_(free)).values(cleared_in=None))
    _ask_again(session, listed)
    return len(free)


def _ask_again(session: Session, listed: TakedownList) -> None:
    refused = sa.select(ImageUrl.id, ImageUrl.url).where(ImageUrl.status == REFUSED, ImageUrl.reason == TAKEN_DOWN)
    due = [url_id for url_id, url in session.execute(refused) if not listed.has_url(url)]
    session.execute(sa.update(ImageUrl).where(ImageUrl.id.in_(due)).values(status="new", reason=None))
    pages = sa.update(Page).where(Page.status == REFUSED, Page.reason == TAKEN_DOWN)
    session.execute(pages.values(next_visit_at=None))


def _named_by(targets: Sequence[Target]) -> sa.ColumnElement[bool]:
    """Say that one of the targets names an image: its bytes, a URL of it, or a page that shows it."""
    by_kind: dict[str, list[str]] = {"sha256": [], "url": [], "host": []}
    for target in targets:
        by_kind[target.kind].append(target.value)

    url, sighting, page = aliased(ImageUrl), aliased(Sighting), aliased(Page)
    its_urls = sa.select(url.id).where(url.image_id == Image.id)
    its_pages = its_urls.join(sighting, sighting.image_url_id == url.id).join(page, page.id == sighting.page_id)
    return sa.or_(
        Image.sha256.in_(by_kind["sha256"]),
        its_urls.where(_is_at(url.url, by_kind["url"], by_kind["host"])).exists(),
        its_pages.where(_is_at(page.url, by_kind["url"], by_kind["host"])).exists(),
    )


def _is_at(url: Any, urls: Sequence[str], hosts: Sequence[str]) -> sa.ColumnElement[bool]:
    """Say that a column holds one of these URLs, or one at these hosts or below."""
    host = sa.func.substring(url, HOST_IN_URL)
    themselves = [f"[{name}]" if ":" in name else name for name in hosts]
    below = [host.endswith(f".{name}", autoescape=True) for name in hosts]
    return sa.or_(url.in_(urls), host.in_(themselves), *below)


def _images_of(session: Session, *conditions: sa.ColumnElement[bool]) -> list[Shown]:
    rows = session.execute(
        sa.select(Image.id, Image.sha256, ImageUrl.url, Page.url)
        .outerjoin(ImageUrl, ImageUrl.image_id == Image.id)
        .outerjoin(Sighting, Sighting.image_url_id == ImageUrl.id)
        .outerjoin(Page, Page.id == Sighting.page_id)
        .where(*conditions)
        .order_by(Image.id)
    )
    found: dict[int, tuple[str, list[tuple[str, ...]]]] = {}
    for image_id, sha256, image_url, page_url in rows:
        _, places = found.setdefault(image_id, (sha256, []))
        place = tuple(url for url in (image_url, page_url) if url is not None)
        if place:
            places.append(place)
    return [Shown(image_id, sha256, places) for image_id, (sha256, places) in found.items()]
