"""Read the audit: all that was decided and done for a run, an alert or a target."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.audit.database import single_statement, storable

# A name may be a run, a workflow id, an alert's key or its source's own id, or a target.
ABOUT = text("""
WITH runs AS (
    SELECT run FROM tocsin.run WHERE run = :name OR workflow_id = :name
    UNION SELECT c.run FROM tocsin.claim c JOIN tocsin.alert a ON a.key = c.alert_key
          WHERE a.key = :name OR a.id = :name
),
alerts AS (
    SELECT key FROM tocsin.alert WHERE key = :name OR id = :name
    UNION SELECT c.alert_key FROM tocsin.claim c JOIN runs USING (run)
)
SELECT e.id, p.position, e.at, e.type, e.run, e.subject, e.body,
       COALESCE(p.position <= (SELECT published FROM tocsin.audit_relay), false) AS published
FROM tocsin.audit_event e LEFT JOIN tocsin.audit_position p ON p.event = e.id
WHERE e.run = :name OR e.subject = :name
   OR e.run IN (SELECT run FROM runs) OR e.subject IN (SELECT key FROM alerts)
ORDER BY e.xid, e.place LIMIT :most
""")


class AuditRecord(BaseModel):
    """An event as recorded. `position` is its place in the order; None until the sequencer gave it one."""

    model_config = ConfigDict(frozen=True)

    id: str
    position: int | None
    at: datetime
    type: str
    run: str | None
    subject: str | None
    body: dict[str, Any]
    published: bool


async def about(engine: AsyncEngine, name: str, *, most: int = 10_000) -> Sequence[AuditRecord]:
    """The events about `name`, in their order; empty where the audit does not know it."""
    async with single_statement(engine) as connection:
        rows = (await connection.execute(ABOUT, {"name": storable(name), "most": most})).mappings().all()
    return [AuditRecord(**{**row, "id": str(row["id"])}) for row in rows]
