"""The runs that wait for their turn, since so many of their playbook are open as may be."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# `severity` is its rank, `most` what the run's version lets be open, `woken_at` when it was last told to look
WAITING = """
CREATE TABLE tocsin.waiting_run (
    run text PRIMARY KEY,
    playbook text NOT NULL,
    workflow_id text NOT NULL,
    severity integer NOT NULL,
    most integer NOT NULL,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    woken_at timestamptz
)
"""


def upgrade() -> None:
    op.execute(WAITING)
    op.execute("CREATE INDEX waiting_run_order ON tocsin.waiting_run (playbook, severity DESC, since, run)")
