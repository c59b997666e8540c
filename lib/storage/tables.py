"""The tables: one class each, with the invariant that it keeps.

Queries live beside their noun (images.py, embeddings.py, ...); the schema's history is in migrations/.
"""

from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from pgvector.sqlalchemy import BIT, HALFVEC
from sqlalchemy import (
    REAL,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from lib.models.registry import Role
from lib.storage.declarative import LIVE, Base, now, row_id

GenerationKind: TypeAlias = Literal["clear", "deletion", "takedown"]
TakedownKind: TypeAlias = Literal["sha256", "url", "host"]


class Generation(Base):
    """One taking away, of the whole library (``clear``) or of single images (``deletion``, ``takedown``).

    What it took can come back until ``restore_until``. Scraping the same bytes again revives what was cleared, but not
    what was deleted: somebody did not want that picture. What was taken down comes back by lifting the takedown.
    """

    __tablename__ = "generations"
    __table_args__ = (CheckConstraint("kind IN ('clear', 'deletion', 'takedown')", name="kind"),)

    id: Mapped[int] = row_id()
    kind: Mapped[GenerationKind] = mapped_column(String, server_default="clear")
    cleared_at: Mapped[datetime] = now()
    restore_until: Mapped[datetime]
    restored_at: Mapped[datetime | None]
    counts: Mapped[dict[str, Any]]


class Source(Base):
    """A site to scrape. ``rules`` is a checked ``lib.scraping.site.Site``.

    ``schedule_served_at`` is the last time of its own schedule that was served, or when that schedule was set.
    """

    __tablename__ = "sources"

    id: Mapped[int] = row_id()
    name: Mapped[str] = mapped_column(unique=True)
    rules: Mapped[dict[str, Any]]
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[datetime] = now()
    schedule_served_at: Mapped[datetime] = now()


class Page(Base):
    """A page that was visited. ``dependencies`` are the validators and hashes of all that it was rendered from.

    ``changed_at`` is when it first showed the links and pictures that it shows now. A page without ``next_visit_at`` is
    due.
    """

    __tablename__ = "pages"
    __table_args__ = (
        Index("uq_pages_live_source_id_url", "source_id", "url", unique=True, postgresql_where=LIVE),
        Index(None, "cleared_in"),
    )

    id: Mapped[int] = row_id()
    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id", ondelete="CASCADE"))
    url: Mapped[str]
    status: Mapped[str]  # ok, refused, failed
    reason: Mapped[str | None]
    detail: Mapped[str | None]
    title: Mapped[str | None]
    links: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    dependencies: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text("'[]'"))
    first_visit_at: Mapped[datetime] = now()
    last_visit_at: Mapped[datetime] = now()
    changed_at: Mapped[datetime] = now()
    visit_interval: Mapped[timedelta | None]
    next_visit_at: Mapped[datetime | None]
    cleared_in: Mapped[int | None] = mapped_column(ForeignKey("generations.id", ondelete="CASCADE"))


class Image(Base):
    """One distinct content: the SHA-256 of its bytes is its identity.

    The row is written after the file and the working copy are safely in the object store, so a row is a receipt.
    """

    __tablename__ = "images"
    __table_args__ = (
        CheckConstraint("width_px > 0 AND height_px > 0", name="size"),
        CheckConstraint("first_byte BETWEEN 0 AND 255", name="first_byte"),
        Index("ix_images_live_id", "id", postgresql_where=LIVE),
        Index(None, "cleared_in"),
        Index(None, "phash"),
    )

    id: Mapped[int] = row_id()
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    first_byte: Mapped[int] = mapped_column(SmallInteger)  # bucket = first_byte % number of buckets
    format: Mapped[str]
    byte_count: Mapped[int]
    width_px: Mapped[int]  # as viewed: EXIF orientation applied
    height_px: Mapped[int]
    has_alpha: Mapped[bool]
    phash: Mapped[str] = mapped_column(BIT(64))
    working_copy_sha256: Mapped[str] = mapped_column(String(64))
    img_name: Mapped[str]
    img_path: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = now()
    cleared_in: Mapped[int | None] = mapped_column(ForeignKey("generations.id", ondelete="CASCADE"))


class ImageUrl(Base):
    """One image URL, its last outcome and, when it gave one, its image. A refusal keeps its reason here."""

    __tablename__ = "image_urls"
    __table_args__ = (
        Index("uq_image_urls_live_url", "url", unique=True, postgresql_where=LIVE),
        Index(None, "image_id"),
        Index(None, "cleared_in"),
    )

    id: Mapped[int] = row_id()
    url: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="new")  # new, ok, refused, failed
    reason: Mapped[str | None]
    detail: Mapped[str | None]
    etag: Mapped[str | None]
    last_modified: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_attempt_at: Mapped[datetime | None]
    checked_at: Mapped[datetime | None]
    image_id: Mapped[int | None] = mapped_column(ForeignKey("images.id", ondelete="SET NULL"))
    cleared_in: Mapped[int | None] = mapped_column(ForeignKey("generations.id", ondelete="CASCADE"))


class Sighting(Base):
    """An image URL found on a page, with the words that stood beside it."""

    __tablename__ = "sightings"
    __table_args__ = (UniqueConstraint("page_id", "image_url_id"), Index(None, "image_url_id"))

    id: Mapped[int] = row_id()
    page_id: Mapped[int] = mapped_column(ForeignKey("pages.id", ondelete="CASCADE"))
    image_url_id: Mapped[int] = mapped_column(ForeignKey("image_urls.id", ondelete="CASCADE"))
    alt: Mapped[str] = mapped_column(server_default="")
    position: Mapped[int]
    first_seen_at: Mapped[datetime] = now()
    last_seen_at: Mapped[datetime] = now()


class FrontierUrl(Base):
    """A page URL of a crawl under way; the rows go when the crawl ends, so what is left shows where to resume.

    ``left_out`` marks a page that was not due and counts as visited; a crawl of everything takes it up again.
    """

    __tablename__ = "frontier"

    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id", ondelete="CASCADE"), primary_key=True)
    url: Mapped[str] = mapped_column(primary_key=True)
    depth: Mapped[int]
    position: Mapped[int] = mapped_column(BigInteger, Identity())
    visited: Mapped[bool] = mapped_column(server_default=text("false"))
    left_out: Mapped[bool] = mapped_column(server_default=text("false"))


class Model(Base):
    """A model that this library uses or fills in; answers come from the ``active`` one of each role."""

    __tablename__ = "models"
    __table_args__ = (
        Index("uq_models_active_role", "role", unique=True, postgresql_where=text("state = 'active'")),
        CheckConstraint("state IN ('filling', 'active', 'retired')", name="state"),
    )

    spec_id: Mapped[str] = mapped_column(primary_key=True)
    role: Mapped[Role] = mapped_column(String)
    name: Mapped[str]
    profile: Mapped[str]
    dimension: Mapped[int | None]
    languages: Mapped[list[str]]
    state: Mapped[str]
    card: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = now()
    activated_at: Mapped[datetime | None]  # when it last began to answer: a rollback goes to the latest of the others


class Cutout(Base):
    """An image's subject under one matting model (or its own alpha): a mask object, never a picture."""

    __tablename__ = "cutouts"

    image_id: Mapped[int] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    spec_id: Mapped[str] = mapped_column(ForeignKey("models.spec_id"), primary_key=True)
    mask_sha256: Mapped[str] = mapped_column(String(64))
    origin: Mapped[str]  # model, alpha
    box: Mapped[list[float]]  # x0, y0, x1, y1 as shares of width and height
    coverage: Mapped[float] = mapped_column(REAL)


class ColorFeatures(Base):
    """The colours of an image's subject, or of the whole picture while (or if) there is no mask."""

    __tablename__ = "color_features"

    image_id: Mapped[int] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    spec_id: Mapped[str] = mapped_column(ForeignKey("models.spec_id"), primary_key=True)
    of_subject: Mapped[bool]
    palette_lab: Mapped[list[float]]  # n * 3
    palette_weights: Mapped[list[float]]  # n, sum 1
    layout: Mapped[bytes] = mapped_column(LargeBinary)  # float16 (side, side, 4): Lab and alpha
    hue_histogram: Mapped[list[float]]


class ColorChange(Base):
    """The colours of an image came, changed, went or were cleared or restored; without an image, those of any.

    Written by triggers, read by the tables that API processes keep in memory (features.py), pruned after a day.
    """

    __tablename__ = "color_changes"
    __table_args__ = (Index(None, "changed_in"), Index(None, "at"))

    id: Mapped[int] = row_id()
    changed_in: Mapped[int] = mapped_column(server_default=text("pg_current_xact_id()::text::bigint"))
    image_id: Mapped[int | None]
    at: Mapped[datetime] = now()


class ResnetEmbedding(Base):
    """An image's visual vector under one model, in that model's partition. A row that exists is work done."""

    __tablename__ = "resnet_embeddings"
    __table_args__ = {"postgresql_partition_by": "LIST (spec_id)"}  # noqa: RUF012  SQLAlchemy declares it an instance variable

    spec_id: Mapped[str] = mapped_column(ForeignKey("models.spec_id"), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    vector: Mapped[Any] = mapped_column(HALFVEC(), nullable=False)  # unit L2 norm, the spec's dimension


class ClipEmbedding(Base):
    """An image's vector in a space shared with words, under one model, in that model's partition."""

    __tablename__ = "clip_embeddings"
    __table_args__ = {"postgresql_partition_by": "LIST (spec_id)"}  # noqa: RUF012  SQLAlchemy declares it an instance variable

    spec_id: Mapped[str] = mapped_column(ForeignKey("models.spec_id"), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    vector: Mapped[Any] = mapped_column(HALFVEC(), nullable=False)


class DistanceDistribution(Base):
    """How a model's distances are spread in this library: percentiles 0 to 100, ascending, of one kind of pair.

    ``nearest``: an image and the other that is nearest to it. ``random``: two images drawn. ``caption``: a caption and
    its own image. ``caption_random``: a caption and an image drawn.
    """

    __tablename__ = "distance_distributions"

    spec_id: Mapped[str] = mapped_column(ForeignKey("models.spec_id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    quantiles: Mapped[list[float]]
    sample_size: Mapped[int]
    image_count: Mapped[int]
    measured_at: Mapped[datetime] = now()


class Recall(Base):
    """One measurement of how much a model's search finds. Rows are only added: they are the history of a plot.

    ``index``: the share of the exact ``k`` nearest that the index finds, ``ef_search`` candidates wide.
    ``captions``: the share of captions with an image of their own among the exact ``k`` nearest.
    """

    __tablename__ = "recalls"
    __table_args__ = (Index(None, "spec_id", "kind", "k", "measured_at"),)

    id: Mapped[int] = row_id()
    spec_id: Mapped[str] = mapped_column(ForeignKey("models.spec_id"))
    kind: Mapped[str]
    k: Mapped[int]
    recall: Mapped[float]
    ef_search: Mapped[int | None]
    query_count: Mapped[int]
    image_count: Mapped[int]
    measured_at: Mapped[datetime] = now()


class StageResult(Base):
    """The ledger: what became of one image in one stage under one spec.

    ``ok`` for the current ``input_hash`` means done. ``leased`` belongs to the run whose advisory lock is held;
    once that lock is free the lease is anybody's. ``crashes`` counts deaths of a worker that held this image alone.
    """

    __tablename__ = "stage_results"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'leased', 'ok', 'failed', 'dead')", name="status"),
        Index(
            "ix_stage_results_open",
            "stage",
            "spec_id",
            postgresql_where=text("status IN ('pending', 'leased', 'failed')"),
        ),
    )

    stage: Mapped[str] = mapped_column(primary_key=True)
    spec_id: Mapped[str] = mapped_column(ForeignKey("models.spec_id"), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    input_hash: Mapped[str]
    status: Mapped[str]
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    crashes: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    next_attempt_at: Mapped[datetime | None]
    lease_owner: Mapped[str | None]
    lease_expires_at: Mapped[datetime | None]
    lease_size: Mapped[int | None] = mapped_column(SmallInteger)
    error: Mapped[str | None]
    updated_at: Mapped[datetime] = now()


class JobRequest(Base):
    """The outbox: a job somebody asked for. It survives Dagster being down; the sensor launches what is left.

    A client that sends the same ``idempotency_key`` again gets the row of the first time.
    """

    __tablename__ = "scrape_requests"
    __table_args__ = (Index(None, "state"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    job: Mapped[str]
    config: Mapped[dict[str, Any]]
    number: Mapped[int] = mapped_column(BigInteger, Identity(), unique=True)  # in the order of asking
    state: Mapped[str] = mapped_column(server_default="queued")  # queued, launched, ended, canceled
    idempotency_key: Mapped[str | None] = mapped_column(unique=True)
    run_id: Mapped[str | None]
    created_at: Mapped[datetime] = now()
    launched_at: Mapped[datetime | None]


class Merge(Base):
    """Two images blended into one that somebody kept. ``how`` is what was asked for, ``object_sha256`` the picture."""

    __tablename__ = "merges"
    __table_args__ = (Index(None, "image_a"), Index(None, "image_b"))

    id: Mapped[int] = row_id()
    image_a: Mapped[int] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"))
    image_b: Mapped[int] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"))
    how: Mapped[dict[str, Any]]
    format: Mapped[str]
    width_px: Mapped[int]
    height_px: Mapped[int]
    object_sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = now()


class DuplicateDecision(Base):
    """Two images that look like copies of one picture and were said not to be."""

    __tablename__ = "duplicate_decisions"
    __table_args__ = (CheckConstraint("image_a < image_b", name="order"),)

    image_a: Mapped[int] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    image_b: Mapped[int] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    created_at: Mapped[datetime] = now()


class Takedown(Base):
    """What the library must not show: the SHA-256 of a file, a canonical URL, or a host with all below it."""

    __tablename__ = "takedowns"
    __table_args__ = (
        UniqueConstraint("kind", "value"),
        CheckConstraint("kind IN ('sha256', 'url', 'host')", name="kind"),
    )

    id: Mapped[int] = row_id()
    kind: Mapped[TakedownKind] = mapped_column(String)
    value: Mapped[str]
    reason: Mapped[str | None]
    created_at: Mapped[datetime] = now()


class ApiKey(Base):
    """A key to the API. Only the SHA-256 of its secret is kept; ``scopes`` are read, write and admin."""

    __tablename__ = "api_keys"

    id: Mapped[int] = row_id()
    name: Mapped[str] = mapped_column(unique=True)
    secret_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = now()
    last_used_at: Mapped[datetime | None]
