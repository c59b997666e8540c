"""Deletions of single images, idempotent job requests, decisions on duplicates, API keys."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("generations", sa.Column("kind", sa.String(), server_default="clear", nullable=False))
    op.create_check_constraint(op.f("ck_generations_kind"), "generations", "kind IN ('clear', 'deletion')")
    op.add_column("scrape_requests", sa.Column("idempotency_key", sa.String(), nullable=True))
    op.create_unique_constraint(op.f("uq_scrape_requests_idempotency_key"), "scrape_requests", ["idempotency_key"])
    op.add_column("scrape_requests", sa.Column("number", sa.BigInteger(), sa.Identity(always=False), nullable=False))
    op.create_unique_constraint(op.f("uq_scrape_requests_number"), "scrape_requests", ["number"])
    op.create_table(
        "duplicate_decisions",
        sa.Column("image_a", sa.BigInteger(), nullable=False),
        sa.Column("image_b", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("image_a < image_b", name=op.f("ck_duplicate_decisions_order")),
        sa.ForeignKeyConstraint(
            ["image_a"], ["images.id"], name=op.f("fk_duplicate_decisions_image_a_images"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["image_b"], ["images.id"], name=op.f("fk_duplicate_decisions_image_b_images"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("image_a", "image_b", name=op.f("pk_duplicate_decisions")),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("secret_sha256", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("name", name=op.f("uq_api_keys_name")),
        sa.UniqueConstraint("secret_sha256", name=op.f("uq_api_keys_secret_sha256")),
    )


def downgrade() -> None:
    op.drop_table("api_keys")
    op.drop_table("duplicate_decisions")
    op.drop_constraint(op.f("uq_scrape_requests_number"), "scrape_requests")
    op.drop_column("scrape_requests", "number")
    op.drop_constraint(op.f("uq_scrape_requests_idempotency_key"), "scrape_requests")
    op.drop_column("scrape_requests", "idempotency_key")
    op.drop_constraint(op.f("ck_generations_kind"), "generations")
    op.drop_column("generations", "kind")
