"""Find the runs of a playbook or with a key within a time: "the third time this month"."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX run_playbook ON tocsin.run (playbook, started_at)")
    op.execute("CREATE INDEX run_key ON tocsin.run (group_key, started_at) WHERE group_key IS NOT NULL")
