"""The first tables, and the view that keeps the predecessor's columns."""

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import BIT, HALFVEC
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Stand-in models never pass for ResNet34 or CLIP: under them both vectors read NULL.
SCRAPPED_IMAGES = """
CREATE VIEW scrapped_images AS
SELECT
    images.id,
    images.img_name,
    images.sha256 AS img_hash,
    images.img_path,
    EXISTS (
        SELECT FROM cutouts JOIN models USING (spec_id)
        WHERE cutouts.image_id = images.id AND models.state = 'active'
    ) AS is_highlighted,
    (
        SELECT resnet_embeddings.vector::vector(512) FROM resnet_embeddings JOIN models USING (spec_id)
        WHERE resnet_embeddings.image_id = images.id
          AND models.state = 'active' AND models.profile = 'standard' AND models.dimension = 512
    ) AS embedding_resnet,
    (
        SELECT clip_embeddings.vector::vector(512) FROM clip_embeddings JOIN models USING (spec_id)
        WHERE clip_embeddings.image_id = images.id
          AND models.state = 'active' AND models.profile = 'standard' AND models.dimension = 512
    ) AS embedding_clip
FROM images
WHERE images.cleared_in IS NULL
"""


def upgrade() -> None:
    op.create_table(
        "generations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("cleared_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("restore_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("restored_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("counts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_generations")),
    )
    op.create_table(
        "models",
        sa.Column("spec_id", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("profile", sa.String(), nullable=False),
        sa.Column("dimension", sa.BigInteger(), nullable=True),
        sa.Column("languages", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("card", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state IN ('filling', 'active', 'retired')", name=op.f("ck_models_state")),
        sa.PrimaryKeyConstraint("spec_id", name=op.f("pk_models")),
    )
    op.create_index(
        "uq_models_active_role", "models", ["role"], unique=True, postgresql_where=sa.text("state = 'active'")
    )
    op.create_table(
        "scrape_requests",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("config", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.String(), server_default="queued", nullable=False),
        sa.Column("run_id", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("launched_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scrape_requests")),
    )
    op.create_index(op.f("ix_scrape_requests_state"), "scrape_requests", ["state"], unique=False)
    op.create_table(
        "sources",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("rules", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sources")),
        sa.UniqueConstraint("name", name=op.f("uq_sources_name")),
    )
    op.create_table(
        "frontier",
        sa.Column("source_id", sa.BigInteger(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("depth", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("visited", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(
            ["source_id"], ["sources.id"], name=op.f("fk_frontier_source_id_sources"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("source_id", "url", name=op.f("pk_frontier")),
    )
    op.create_table(
        "images",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("first_byte", sa.SmallInteger(), nullable=False),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column("byte_count", sa.BigInteger(), nullable=False),
        sa.Column("width_px", sa.BigInteger(), nullable=False),
        sa.Column("height_px", sa.BigInteger(), nullable=False),
        sa.Column("has_alpha", sa.Boolean(), nullable=False),
        sa.Column("phash", BIT(length=64), nullable=False),
        sa.Column("working_copy_sha256", sa.String(length=64), nullable=False),
        sa.Column("img_name", sa.String(), nullable=False),
        sa.Column("img_path", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("cleared_in", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("first_byte BETWEEN 0 AND 255", name=op.f("ck_images_first_byte")),
        sa.CheckConstraint("width_px > 0 AND height_px > 0", name=op.f("ck_images_size")),
        sa.ForeignKeyConstraint(
            ["cleared_in"], ["generations.id"], name=op.f("fk_images_cleared_in_generations"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_images")),
        sa.UniqueConstraint("img_path", name=op.f("uq_images_img_path")),
        sa.UniqueConstraint("sha256", name=op.f("uq_images_sha256")),
    )
    op.create_index(op.f("ix_images_cleared_in"), "images", ["cleared_in"], unique=False)
    op.create_index("ix_images_live_id", "images", ["id"], unique=False, postgresql_where=sa.text("cleared_in IS NULL"))
    op.create_index(op.f("ix_images_phash"), "images", ["phash"], unique=False)
    op.create_table(
        "pages",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("source_id", sa.BigInteger(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("detail", sa.String(), nullable=True),
        sa.Column("title", sa.String(), nullable=True),
        sa.Column("links", sa.ARRAY(sa.String()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column(
            "dependencies", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False
        ),
        sa.Column("first_visit_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_visit_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("cleared_in", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["cleared_in"], ["generations.id"], name=op.f("fk_pages_cleared_in_generations"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["source_id"], ["sources.id"], name=op.f("fk_pages_source_id_sources"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pages")),
    )
    op.create_index(op.f("ix_pages_cleared_in"), "pages", ["cleared_in"], unique=False)
    op.create_index(
        "uq_pages_live_source_id_url",
        "pages",
        ["source_id", "url"],
        unique=True,
        postgresql_where=sa.text("cleared_in IS NULL"),
    )
    op.create_table(
        "clip_embeddings",
        sa.Column("spec_id", sa.String(), nullable=False),
        sa.Column("image_id", sa.BigInteger(), nullable=False),
        sa.Column("vector", HALFVEC(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_clip_embeddings_image_id_images"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["spec_id"], ["models.spec_id"], name=op.f("fk_clip_embeddings_spec_id_models")),
        sa.PrimaryKeyConstraint("spec_id", "image_id", name=op.f("pk_clip_embeddings")),
        postgresql_partition_by="LIST (spec_id)",
    )
    op.create_table(
        "color_features",
        sa.Column("image_id", sa.BigInteger(), nullable=False),
        sa.Column("spec_id", sa.String(), nullable=False),
        sa.Column("of_subject", sa.Boolean(), nullable=False),
        sa.Column("palette_lab", sa.ARRAY(sa.REAL()), nullable=False),
        sa.Column("palette_weights", sa.ARRAY(sa.REAL()), nullable=False),
        sa.Column("layout", sa.LargeBinary(), nullable=False),
        sa.Column("hue_histogram", sa.ARRAY(sa.REAL()), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_color_features_image_id_images"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["spec_id"], ["models.spec_id"], name=op.f("fk_color_features_spec_id_models")),
        sa.PrimaryKeyConstraint("image_id", "spec_id", name=op.f("pk_color_features")),
    )
    op.create_table(
        "cutouts",
        sa.Column("image_id", sa.BigInteger(), nullable=False),
        sa.Column("spec_id", sa.String(), nullable=False),
        sa.Column("mask_sha256", sa.String(length=64), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("box", sa.ARRAY(sa.REAL()), nullable=False),
        sa.Column("coverage", sa.REAL(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_cutouts_image_id_images"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["spec_id"], ["models.spec_id"], name=op.f("fk_cutouts_spec_id_models")),
        sa.PrimaryKeyConstraint("image_id", "spec_id", name=op.f("pk_cutouts")),
    )
    op.create_table(
        "image_urls",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("status", sa.String(), server_default="new", nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("detail", sa.String(), nullable=True),
        sa.Column("etag", sa.String(), nullable=True),
        sa.Column("last_modified", sa.String(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("image_id", sa.BigInteger(), nullable=True),
        sa.Column("cleared_in", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["cleared_in"], ["generations.id"], name=op.f("fk_image_urls_cleared_in_generations"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_image_urls_image_id_images"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image_urls")),
    )
    op.create_index(op.f("ix_image_urls_cleared_in"), "image_urls", ["cleared_in"], unique=False)
    op.create_index(op.f("ix_image_urls_image_id"), "image_urls", ["image_id"], unique=False)
    op.create_index(
        "uq_image_urls_live_url", "image_urls", ["url"], unique=True, postgresql_where=sa.text("cleared_in IS NULL")
    )
    op.create_table(
        "resnet_embeddings",
        sa.Column("spec_id", sa.String(), nullable=False),
        sa.Column("image_id", sa.BigInteger(), nullable=False),
        sa.Column("vector", HALFVEC(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_resnet_embeddings_image_id_images"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["spec_id"], ["models.spec_id"], name=op.f("fk_resnet_embeddings_spec_id_models")),
        sa.PrimaryKeyConstraint("spec_id", "image_id", name=op.f("pk_resnet_embeddings")),
        postgresql_partition_by="LIST (spec_id)",
    )
    op.create_table(
        "stage_results",
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("spec_id", sa.String(), nullable=False),
        sa.Column("image_id", sa.BigInteger(), nullable=False),
        sa.Column("input_hash", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("crashes", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_owner", sa.String(), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_size", sa.SmallInteger(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'leased', 'ok', 'failed', 'dead')", name=op.f("ck_stage_results_status")
        ),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_stage_results_image_id_images"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["spec_id"], ["models.spec_id"], name=op.f("fk_stage_results_spec_id_models")),
        sa.PrimaryKeyConstraint("stage", "spec_id", "image_id", name=op.f("pk_stage_results")),
    )
    op.create_index(
        "ix_stage_results_open",
        "stage_results",
        ["stage", "spec_id"],
        unique=False,
        postgresql_where=sa.text("status IN ('pending', 'leased', 'failed')"),
    )
    op.create_table(
        "sightings",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("page_id", sa.BigInteger(), nullable=False),
        sa.Column("image_url_id", sa.BigInteger(), nullable=False),
        sa.Column("alt", sa.String(), server_default="", nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_url_id"], ["image_urls.id"], name=op.f("fk_sightings_image_url_id_image_urls"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["page_id"], ["pages.id"], name=op.f("fk_sightings_page_id_pages"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sightings")),
        sa.UniqueConstraint("page_id", "image_url_id", name=op.f("uq_sightings_page_id_image_url_id")),
    )
    op.create_index(op.f("ix_sightings_image_url_id"), "sightings", ["image_url_id"], unique=False)
    op.execute(SCRAPPED_IMAGES)


def downgrade() -> None:
    op.execute("DROP VIEW scrapped_images")
    op.drop_index(op.f("ix_sightings_image_url_id"), table_name="sightings")
    op.drop_table("sightings")
    op.drop_index(
        "ix_stage_results_open",
        table_name="stage_results",
        postgresql_where=sa.text("status IN ('pending', 'leased', 'failed')"),
    )
    op.drop_table("stage_results")
    op.drop_table("resnet_embeddings")
    op.drop_index("uq_image_urls_live_url", table_name="image_urls", postgresql_where=sa.text("cleared_in IS NULL"))
    op.drop_index(op.f("ix_image_urls_image_id"), table_name="image_urls")
    op.drop_index(op.f("ix_image_urls_cleared_in"), table_name="image_urls")
    op.drop_table("image_urls")
    op.drop_table("cutouts")
    op.drop_table("color_features")
    op.drop_table("clip_embeddings")
    op.drop_index("uq_pages_live_source_id_url", table_name="pages", postgresql_where=sa.text("cleared_in IS NULL"))
    op.drop_index(op.f("ix_pages_cleared_in"), table_name="pages")
    op.drop_table("pages")
    op.drop_index(op.f("ix_images_phash"), table_name="images")
    op.drop_index("ix_images_live_id", table_name="images", postgresql_where=sa.text("cleared_in IS NULL"))
    op.drop_index(op.f("ix_images_cleared_in"), table_name="images")
    op.drop_table("images")
    op.drop_table("frontier")
    op.drop_table("sources")
    op.drop_index(op.f("ix_scrape_requests_state"), table_name="scrape_requests")
    op.drop_table("scrape_requests")
    op.drop_index("uq_models_active_role", table_name="models", postgresql_where=sa.text("state = 'active'"))
    op.drop_table("models")
    op.drop_table("generations")
