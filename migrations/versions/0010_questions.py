"""Where a question stands and which execution asked it when: what it asks anew, or no longer, is open no more."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # `asked_after` is how many events its history had by then; all three are empty where an earlier release asked
    op.execute(
        "ALTER TABLE tocsin.approval ADD COLUMN path text[], ADD COLUMN asked_in text, ADD COLUMN asked_after bigint"
    )
