"""Whose turn it is where only so many runs of a playbook may be open: the most severe first, then who waits longest.

A run looks by itself now and then; when a place is free, those whose turn it is are told, so that no place stays empty.
"""

from __future__ import annotations

from typing import Any

import structlog
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.audit.database import transaction
from orchestrator.contract.values import Severity
from orchestrator.workflow.messages import Begin

log = structlog.get_logger()
SIGNAL = "turn"
"""only makes a run look: whoever sends it without need wins nothing"""
PLACES = text("""
SELECT CAST(v.document->>'concurrency' AS int) AS most, pg_advisory_xact_lock(hashtext('tocsin.run ' || :playbook)),
    EXISTS (SELECT FROM tocsin.run WHERE run = :run) AS has_one
FROM tocsin.playbook_version v WHERE v.digest = :digest AND v.document ? 'concurrency'
""")
ALONE = text("SELECT pg_advisory_xact_lock(hashtext('tocsin.run ' || :playbook))")
OPEN = text("SELECT count(*) FROM tocsin.run WHERE playbook = :playbook AND ended_at IS NULL AND run <> :run")
# of one workflow only one run waits at a time: another one was terminated there
OTHERS = text("DELETE FROM tocsin.waiting_run WHERE workflow_id = :workflow_id AND run <> :run")
WAIT = text("""
INSERT INTO tocsin.waiting_run (run, playbook, workflow_id, severity, most)
VALUES (:run, :playbook, :workflow_id, :severity, :most) ON CONFLICT (run) DO NOTHING
""")
# an alert that joins a run that waits is claimed when that begins; what intake recorded of it counts already
WORSE = """
UPDATE tocsin.waiting_run w SET severity = asked.severity
FROM (SELECT s.workflow_id, s.playbook, max(array_position(
        ARRAY['informational', 'low', 'medium', 'high', 'critical'], a.severity)) - 1 AS severity
    FROM tocsin.waiting_run one
    JOIN tocsin.start_request s ON s.workflow_id = one.workflow_id AND s.playbook = one.playbook
    JOIN tocsin.alert a ON a.key = s.alert_key
    WHERE {which}
        AND NOT EXISTS (SELECT FROM tocsin.claim c WHERE c.playbook = s.playbook AND c.alert_key = s.alert_key)
    GROUP BY s.workflow_id, s.playbook) AS asked
WHERE w.workflow_id = asked.workflow_id AND w.playbook = asked.playbook AND w.severity < asked.severity
"""
WORSE_OF_RUN = text(WORSE.format(which="one.run = :run"))
WORSE_OF_ALL = text(WORSE.format(which="one.playbook = :playbook"))
AHEAD = text("""
SELECT count(*) FROM tocsin.waiting_run other, tocsin.waiting_run mine
WHERE mine.run = :run AND other.playbook = mine.playbook AND (other.severity > mine.severity
    OR other.severity = mine.severity AND (other.since, other.run) < (mine.since, mine.run))
""")
LEAVE = text("DELETE FROM tocsin.waiting_run WHERE run = :run")
FREE = text("""
SELECT max(most) - (SELECT count(*) FROM tocsin.run WHERE playbook = :playbook AND ended_at IS NULL)
FROM tocsin.waiting_run WHERE playbook = :playbook
""")
# who was told a moment ago is about to look
TURN = text("""
UPDATE tocsin.waiting_run SET woken_at = clock_timestamp()
WHERE run IN (
    SELECT run FROM tocsin.waiting_run WHERE playbook = :playbook ORDER BY severity DESC, since, run LIMIT :free
) AND (woken_at IS NULL OR woken_at < clock_timestamp() - interval '10 seconds')
RETURNING run, workflow_id
""")


async def wait_for_turn(connection: AsyncConnection, begin: Begin) -> str | None:
    """Why the run has to wait; None where it is its turn. Exact, since one run of a playbook looks at a time."""
    context = begin.context
    values = {
        "playbook": context.playbook, "digest": context.digest, "run": context.run, "workflow_id": context.workflow_id
    }  # fmt: skip
    places = (await connection.execute(PLACES, values)).first()
    if places is None or places.has_one:
        return None
    await connection.execute(OTHERS, values)
    waiting = {**values, "severity": Severity.parse(begin.severity).rank, "most": places.most}
    await connection.execute(WAIT, waiting)
    await connection.execute(WORSE_OF_RUN, values)
    count = (await connection.execute(OPEN, values)).scalar_one()
    ahead = (await connection.execute(AHEAD, values)).scalar_one()
    if count + ahead < places.most:
        await leave_queue(connection, context.run)
        return None
    return f"{count} runs are open, of {places.most} that may be" + (f", and {ahead} go first" if ahead else "")


async def leave_queue(connection: AsyncConnection, run: str) -> None:
    """The run waits no longer."""
    await connection.execute(LEAVE, {"run": run})


class Turns:
    """Tells runs that it is their turn."""

    def __init__(self, client: Client, engine: AsyncEngine) -> None:
        self._client = client
        self._engine = engine

    async def give(self, playbook: str) -> None:
        """Tell those whose turn it is. One that is there no more leaves its turn to the next.

        Where Temporal is away nobody is told, and they look by themselves.
        """
        while any([await self._is_gone(row) for row in await self._next(playbook)]):
            pass

    async def _next(self, playbook: str) -> list[Row[Any]]:
        values = {"playbook": playbook}
        async with transaction(self._engine) as connection:
            await connection.execute(ALONE, values)
            free = (await connection.execute(FREE, values)).scalar() or 0
            if free <= 0:
                return []
            await connection.execute(WORSE_OF_ALL, values)
            return list((await connection.execute(TURN, {**values, "free": free})).all())

    async def _is_gone(self, row: Row[Any]) -> bool:
        try:
            await self._client.get_workflow_handle(row.workflow_id).signal(SIGNAL)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                log.warning("turn.not_told", run=row.run, error=error.message)
                return False
            async with transaction(self._engine) as connection:
                await leave_queue(connection, row.run)
            return True
        return False
