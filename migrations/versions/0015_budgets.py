"""Budgets: which actions take from them, and what waits above one for people."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

# what an action would send, until people have answered; `question` is the approval whose card lists it
WAITING = """
CREATE TABLE tocsin.budget_waiting (
    key text NOT NULL,
    card text NOT NULL,
    run text NOT NULL,
    parameters_digest text NOT NULL,
    entry jsonb NOT NULL,
    budget jsonb NOT NULL,
    question text,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (key, card)
)
"""
# what was sent within the last day counts from the first moment on
SENT_BEFORE = """
UPDATE tocsin.action SET groups = '{}'
WHERE mode = 'live' AND effect IN ('reversible', 'irreversible') AND NOT '~undo' = ANY(path)
    AND playbook <> '(a person)' AND intended_at > clock_timestamp() - interval '1 day'
"""


def upgrade() -> None:
    # the groups that the target belonged to when it was sent; none at all for what takes from no budget
    op.execute("ALTER TABLE tocsin.action ADD COLUMN groups text[]")
    op.execute(SENT_BEFORE)
    op.execute("CREATE INDEX action_budget ON tocsin.action (intended_at) WHERE groups IS NOT NULL")
    op.execute("CREATE INDEX action_budget_of ON tocsin.action (playbook, intended_at) WHERE groups IS NOT NULL")
    op.execute(WAITING)
    op.execute("CREATE INDEX budget_waiting_card ON tocsin.budget_waiting (card, since)")
