"""What the demo came to, counted where it is recorded: in Postgres and in Kafka."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.audit.database import single_statement

COUNTS = text("""
WITH had AS (SELECT alert_key, bool_or(how = 'started') AS started FROM tocsin.claim GROUP BY alert_key)
SELECT (SELECT count(*) FROM had WHERE started) AS started,
       (SELECT count(*) FROM had WHERE NOT started) AS joined,
       (SELECT COALESCE(sum(alerts), 0) FROM tocsin.unmatched) AS unmatched,
       (SELECT count(*) FROM tocsin.dead_letter d WHERE NOT EXISTS (
            SELECT 1 FROM tocsin.alert a JOIN had ON had.alert_key = a.key
            WHERE (a.topic, a.partition, a."offset") = (d.topic, d.partition, d."offset"))) AS dead_lettered,
       (SELECT count(*) FROM tocsin.action) AS actions,
       (SELECT count(DISTINCT body->>'key') FROM tocsin.audit_event WHERE type = 'action.intended') AS intents,
       (SELECT count(DISTINCT body->>'key') FROM tocsin.audit_event
        WHERE type IN ('action.done', 'action.failed', 'action.unknown', 'action.shadowed')) AS outcomes,
       (SELECT published FROM tocsin.audit_relay) AS published,
       (SELECT count(*) FROM tocsin.audit_event) AS events,
       (SELECT count(*) FROM tocsin.run WHERE ended_at IS NULL) AS running,
       (SELECT count(*) FROM tocsin.approval WHERE state = 'waiting') AS waiting
""")
LATENCIES = text("""
SELECT capability, count(*) AS calls, percentile_cont(0.5) WITHIN GROUP (ORDER BY milliseconds) AS p50,
       max(milliseconds) AS worst
FROM tocsin.action WHERE state = 'done' AND milliseconds IS NOT NULL GROUP BY capability ORDER BY capability
""")
# from the moment that intake had recorded an alert to the moment that the block was confirmed, nobody in the loop
UNATTENDED = text("""
SELECT a.run, extract(epoch FROM a.concluded_at - r.received_at) * 1000 AS milliseconds
FROM tocsin.action a JOIN tocsin.alert r ON r.key = a.event
JOIN tocsin.approval p ON p.run = a.run AND (p.decision->>'auto')::boolean
WHERE a.capability = 'firewall.block_ip' AND a.state = 'done' ORDER BY milliseconds
""")


class Counts(BaseModel):
    """The accounting: every alert once, by the first that is true of it."""

    model_config = ConfigDict(frozen=True)

    alerts: int
    started: int
    joined: int
    unmatched: int
    dead_lettered: int
    actions: int
    intents: int
    outcomes: int
    published: int
    events: int
    running: int
    waiting: int

    @property
    def accounted(self) -> bool:
        """Whether every alert is one of these."""
        return self.alerts == self.started + self.joined + self.unmatched + self.dead_lettered

    @property
    def settled(self) -> bool:
        """Whether all runs have ended or wait for people, and Kafka has the whole audit."""
        return self.accounted and self.running == self.waiting and self.published == self.events


async def count(engine: AsyncEngine, alerts: int) -> Counts:
    """The counts now; `alerts` is how many were sent."""
    async with single_statement(engine) as connection:
        row = (await connection.execute(COUNTS)).mappings().one()
    return Counts(alerts=alerts, **row)


async def latencies(engine: AsyncEngine) -> list[tuple[str, int, float, float]]:
    """For each capability: calls, median and worst in milliseconds."""
    async with single_statement(engine) as connection:
        return [(r.capability, r.calls, r.p50, r.worst) for r in await connection.execute(LATENCIES)]


class Unattended(BaseModel):
    """A block with nobody in the loop, and how long it took from alert to block."""

    model_config = ConfigDict(frozen=True)

    run: str
    milliseconds: float


async def unattended(engine: AsyncEngine) -> list[Unattended]:
    """What was blocked with nobody in the loop, the quickest first."""
    async with single_statement(engine) as connection:
        return [Unattended(**row) for row in (await connection.execute(UNATTENDED)).mappings()]
