"""What runs put on the lists of a site that are marked writable, beside what their files say."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE tocsin.list_entry (
            list text NOT NULL,
            value text NOT NULL,
            note text NOT NULL,
            run text NOT NULL,
            since timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (list, value)
        )
    """)
