"""A log of changes to colours, so that a table in memory can be kept in step with them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# The day is far more than a process needs that looks at every search; one that slept longer reads everything.
# SKIP LOCKED: two transactions that prune at once must never wait for each other.
NOTE = """
CREATE FUNCTION note_color_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'color_features' AND TG_OP <> 'TRUNCATE' THEN
        INSERT INTO color_changes (image_id) SELECT DISTINCT image_id FROM changed;
    ELSIF TG_TABLE_NAME = 'images' THEN
        INSERT INTO color_changes (image_id)
        SELECT changed.id FROM changed JOIN before USING (id)
        WHERE changed.cleared_in IS DISTINCT FROM before.cleared_in;
    ELSE
        INSERT INTO color_changes (image_id) VALUES (NULL);
    END IF;
    DELETE FROM color_changes WHERE id IN (
        SELECT id FROM color_changes WHERE at < now() - interval '1 day' ORDER BY id LIMIT 1000 FOR UPDATE SKIP LOCKED
    );
    RETURN NULL;
END $$
"""
TRIGGERS = (
    """CREATE TRIGGER note_added AFTER INSERT ON color_features
       REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_color_changes()""",
    """CREATE TRIGGER note_updated AFTER UPDATE ON color_features
       REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_color_changes()""",
    """CREATE TRIGGER note_deleted AFTER DELETE ON color_features
       REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_color_changes()""",
    """CREATE TRIGGER note_truncated AFTER TRUNCATE ON color_features
       FOR EACH STATEMENT EXECUTE FUNCTION note_color_changes()""",
    """CREATE TRIGGER note_cleared AFTER UPDATE ON images
       REFERENCING OLD TABLE AS before NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_color_changes()""",
    """CREATE TRIGGER note_color_model AFTER INSERT OR UPDATE OF state ON models
       FOR EACH ROW WHEN (NEW.role = 'color') EXECUTE FUNCTION note_color_changes()""",
)


def upgrade() -> None:
    op.create_table(
        "color_changes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "changed_in", sa.BigInteger(), server_default=sa.text("pg_current_xact_id()::text::bigint"), nullable=False
        ),
        sa.Column("image_id", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_color_changes")),
    )
    op.create_index(op.f("ix_color_changes_changed_in"), "color_changes", ["changed_in"], unique=False)
    op.create_index(op.f("ix_color_changes_at"), "color_changes", ["at"], unique=False)
    op.execute(NOTE)
    for trigger in TRIGGERS:
        op.execute(trigger)


def downgrade() -> None:
    op.execute("DROP FUNCTION note_color_changes CASCADE")
    op.drop_index(op.f("ix_color_changes_at"), table_name="color_changes")
    op.drop_index(op.f("ix_color_changes_changed_in"), table_name="color_changes")
    op.drop_table("color_changes")
