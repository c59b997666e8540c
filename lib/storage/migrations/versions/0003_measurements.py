"""What was measured of each model's vectors, and when a model last began to answer."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "distance_distributions",
        sa.Column("spec_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("quantiles", sa.ARRAY(sa.REAL()), nullable=False),
        sa.Column("sample_size", sa.BigInteger(), nullable=False),
        sa.Column("image_count", sa.BigInteger(), nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["spec_id"], ["models.spec_id"], name=op.f("fk_distance_distributions_spec_id_models")),
        sa.PrimaryKeyConstraint("spec_id", "kind", name=op.f("pk_distance_distributions")),
    )
    op.create_table(
        "recalls",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("spec_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("k", sa.BigInteger(), nullable=False),
        sa.Column("recall", sa.Double(), nullable=False),
        sa.Column("query_count", sa.BigInteger(), nullable=False),
        sa.Column("image_count", sa.BigInteger(), nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["spec_id"], ["models.spec_id"], name=op.f("fk_recalls_spec_id_models")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recalls")),
    )
    op.create_index(op.f("ix_recalls_spec_id"), "recalls", ["spec_id", "kind", "k", "measured_at"])
    op.add_column("models", sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE models SET activated_at = created_at WHERE state = 'active'")


def downgrade() -> None:
    op.drop_column("models", "activated_at")
    op.drop_index(op.f("ix_recalls_spec_id"), table_name="recalls")
    op.drop_table("recalls")
    op.drop_table("distance_distributions")
