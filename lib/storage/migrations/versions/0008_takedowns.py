"""The list of takedowns, and images that it hides."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

KIND = "ck_generations_kind"


def upgrade() -> None:
    op.create_table(
        "takedowns",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind IN ('sha256', 'url', 'host')", name=op.f("ck_takedowns_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_takedowns")),
        sa.UniqueConstraint("kind", "value", name=op.f("uq_takedowns_kind_value")),
    )
    op.drop_constraint(op.f(KIND), "generations")
    op.create_check_constraint(op.f(KIND), "generations", "kind IN ('clear', 'deletion', 'takedown')")


def downgrade() -> None:
    # What was taken down stays away: as far as the older version can say so, somebody deleted it.
    op.execute("UPDATE generations SET kind = 'deletion' WHERE kind = 'takedown'")
    op.drop_constraint(op.f(KIND), "generations")
    op.create_check_constraint(op.f(KIND), "generations", "kind IN ('clear', 'deletion')")
    op.drop_table("takedowns")
