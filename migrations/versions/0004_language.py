"""What the whole language needs: questions beside approvals, runs by hand and by the clock, alerts that only join."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STATES = "'waiting', 'approved', 'denied', 'expired', 'failed', 'void', 'answered'"


def upgrade() -> None:
    op.execute("ALTER TABLE tocsin.approval DROP CONSTRAINT approval_state_check")
    op.execute(f"ALTER TABLE tocsin.approval ADD CONSTRAINT approval_state_check CHECK (state IN ({STATES}))")
    # an alert that only joins is recorded as such, so that it never starts a run of its own
    op.execute(
        "ALTER TABLE tocsin.start_request ADD COLUMN may_start boolean NOT NULL DEFAULT true, ADD COLUMN requester text"
    )
    # the sub-playbooks that a version calls, in the versions that a run of it stays on
    op.execute("ALTER TABLE tocsin.playbook_version ADD COLUMN bundle jsonb NOT NULL DEFAULT '{}'")
