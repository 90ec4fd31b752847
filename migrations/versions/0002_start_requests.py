"""What intake asked to be started, so that nothing else is; what a task that is carried out again has to know."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# whoever reaches Temporal may start and signal runs: only what stands here is carried out
REQUESTS = """
CREATE TABLE tocsin.start_request (
    alert_key text NOT NULL,
    playbook text NOT NULL,
    content bytea NOT NULL,
    digest text NOT NULL,
    mode text NOT NULL,
    workflow_id text NOT NULL,
    group_key text,
    join_seconds double precision NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (alert_key, playbook, content, digest, mode)
)
"""


def upgrade() -> None:
    op.execute(REQUESTS)
    op.execute("CREATE INDEX start_request_workflow ON tocsin.start_request (workflow_id, digest)")
    # how it ended, and which execution said so: a task that is carried out again ends the run as it did before
    op.execute("ALTER TABLE tocsin.run ADD COLUMN ending jsonb, ADD COLUMN ended_by text")
    op.execute("ALTER TABLE tocsin.action ADD COLUMN seen integer NOT NULL DEFAULT 0")
