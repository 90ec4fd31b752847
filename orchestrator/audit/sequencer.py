"""Give every event of the audit its place, gap-free, in an order that no late commit can come before.

An identity column is the order of inserts, not of commits: a reader that follows it skips what commits late. So only
events of transactions older than every one still open (`pg_snapshot_xmin`) get a place, by one sequencer at a time.
"""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.audit.database import transaction

# The advisory lock is taken in a statement of its own: one statement sees the snapshot from before it waited.
LOCK = text("SELECT pg_advisory_xact_lock(hashtext('tocsin.sequencer'))")
SEQUENCE = text("""
WITH border AS (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS xmin),
fresh AS (
    SELECT e.id, row_number() OVER (ORDER BY e.xid, e.place) AS n
    FROM tocsin.audit_event e, border, tocsin.audit_relay r
    WHERE e.xid >= r.horizon AND e.xid < border.xmin
),
placed AS (
    INSERT INTO tocsin.audit_position (position, event)
    SELECT r.sequenced + fresh.n, fresh.id FROM fresh, tocsin.audit_relay r
    RETURNING 1
)
UPDATE tocsin.audit_relay SET horizon = border.xmin, sequenced = sequenced + (SELECT count(*) FROM placed)
FROM border RETURNING (SELECT count(*) FROM placed)
""")


class Sequencer:
    """The duty of giving places."""

    name = "sequencer"

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def once(self) -> int:
        """Place all that can be placed now; how many events that were."""
        async with transaction(self._engine) as connection:
            await connection.execute(LOCK)
            return int((await connection.execute(SEQUENCE)).scalar_one())
