"""Which run called which, so that what a sub-playbook did is undone with what its caller did."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # both are empty where nobody waits for the run
    op.execute("ALTER TABLE tocsin.run ADD COLUMN called_by text, ADD COLUMN called_at text[] NOT NULL DEFAULT '{}'")
    op.execute("CREATE INDEX run_called ON tocsin.run (called_by) WHERE called_by IS NOT NULL")
