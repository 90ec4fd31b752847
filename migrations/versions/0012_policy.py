"""The policy in force and those that were, under which each action was decided, and what people think of shadow."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

POLICY = """
CREATE TABLE tocsin.policy_in_force (
    digest text NOT NULL,
    file text NOT NULL,
    content text NOT NULL,
    by text NOT NULL,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    until timestamptz
)
"""
# why the file is not the one in force, where that is so
BROKEN = """
CREATE TABLE tocsin.policy_broken (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    findings jsonb NOT NULL,
    since timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""
OPINION = """
CREATE TABLE tocsin.shadow_opinion (
    run text NOT NULL,
    step text NOT NULL,
    by text NOT NULL,
    trust text NOT NULL,
    agrees boolean NOT NULL,
    why text NOT NULL,
    said_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run, step, by)
)
"""
# which target of a run goes ahead of the others at an integration, and whether its effect was seen
CANARY = """
CREATE TABLE tocsin.canary (
    run text NOT NULL,
    capability text NOT NULL,
    integration text NOT NULL,
    key text NOT NULL UNIQUE,
    target text NOT NULL,
    state text NOT NULL DEFAULT 'waits' CHECK (state IN ('waits', 'seen', 'failed')),
    PRIMARY KEY (run, capability, integration)
)
"""


def upgrade() -> None:
    op.execute(POLICY)
    op.execute("CREATE UNIQUE INDEX policy_now ON tocsin.policy_in_force ((true)) WHERE until IS NULL")
    op.execute(BROKEN)
    op.execute(OPINION)
    op.execute(CANARY)
    # the policy that an action was decided under, and the line that made it shadow
    op.execute("ALTER TABLE tocsin.action ADD COLUMN policy text, ADD COLUMN mode_why text")
    op.execute("CREATE INDEX action_shadowed ON tocsin.action (intended_at) WHERE mode = 'shadow'")
    op.execute("ALTER TABLE tocsin.run ADD COLUMN mode_why text")
    # for each request of the card, what kept it from being sent when people were asked; and what the site demanded
    op.execute("ALTER TABLE tocsin.approval ADD COLUMN shadowed jsonb, ADD COLUMN demanded text")
