"""The kill switch: what is thrown, by whom and why; what was lifted stays on record."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# `inverse` is what takes a capability back: with `undo_too` that is halted as well
KILL_SWITCH = """
CREATE TABLE tocsin.kill_switch (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    scope text NOT NULL CHECK (scope IN ('all', 'integration', 'playbook', 'capability')),
    name text NOT NULL CHECK ((name = '') = (scope = 'all')),
    inverse text,
    undo_too boolean NOT NULL,
    thrown_at timestamptz NOT NULL,
    thrown_by text NOT NULL,
    trust text NOT NULL,
    why text NOT NULL,
    lifted_at timestamptz,
    lifted_by text,
    lifted_trust text,
    lifted_why text
)
"""


def upgrade() -> None:
    op.execute(KILL_SWITCH)
    op.execute("CREATE UNIQUE INDEX kill_switch_thrown ON tocsin.kill_switch (scope, name) WHERE lifted_at IS NULL")
