"""Effects that runs share: who holds them, what was found before, and what is being taken back."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATES = "'intended', 'done', 'failed', 'unknown', 'shadowed', 'undone', 'left'"

# an effect that is being taken back: nobody may ask for it anew until then, and after a failure not before `next_at`
TAKING_BACK = """
CREATE TABLE tocsin.taking_back (
    shared text PRIMARY KEY,
    until timestamptz NOT NULL,
    attempts integer NOT NULL,
    next_at timestamptz,
    error text
)
"""


def upgrade() -> None:
    op.execute("ALTER TABLE tocsin.action DROP CONSTRAINT action_state_check")
    op.execute(f"ALTER TABLE tocsin.action ADD CONSTRAINT action_state_check CHECK (state IN ({STATES}))")
    # each reversible action is a hold on the effect named `shared`, until it is released
    op.execute(
        "ALTER TABLE tocsin.action ADD COLUMN shared text, ADD COLUMN prior jsonb, ADD COLUMN released_at timestamptz"
    )
    op.execute("CREATE INDEX action_holds ON tocsin.action (shared) WHERE shared IS NOT NULL")
    op.execute(
        "CREATE INDEX action_due ON tocsin.action (until) WHERE shared IS NOT NULL AND state IN ('done', 'unknown')"
    )
    op.execute(TAKING_BACK)
