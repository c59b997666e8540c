"""How wide the index was searched when its recall was measured."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("recalls", sa.Column("ef_search", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("recalls", "ef_search")
