"""When a page is due, which scheduled times of a source have been served, which pages a crawl left out."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pages", sa.Column("visit_interval", sa.Interval(), nullable=True))
    op.add_column("pages", sa.Column("next_visit_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "sources",
        sa.Column("schedule_served_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    op.add_column("frontier", sa.Column("left_out", sa.Boolean(), server_default=sa.text("false"), nullable=False))


def downgrade() -> None:
    op.drop_column("frontier", "left_out")
    op.drop_column("sources", "schedule_served_at")
    op.drop_column("pages", "next_visit_at")
    op.drop_column("pages", "visit_interval")
