"""Keep the lists and calendars as they were when they were good, for a start with a file that is broken."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE tocsin.reference_good (
            name text PRIMARY KEY,
            sha256 text NOT NULL,
            content text NOT NULL,
            since timestamptz NOT NULL DEFAULT clock_timestamp()
        )
    """)
