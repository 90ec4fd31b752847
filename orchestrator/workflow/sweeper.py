"""The sweeper: a run that Temporal ended could not say so itself. It is put on record, and what it had called ends too.

Somebody terminated it, in the Temporal UI for instance. What it did stays until its time is over: the ledger has that.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.audit.database import single_statement, transaction
from orchestrator.audit.events import Event, record
from orchestrator.workflow.turns import Turns

log = structlog.get_logger()
AT_ONCE = 20
"""open runs that one look asks after, whatever Temporal lists"""
EVERY = 10.0
"""seconds between two looks"""
LATE = timedelta(minutes=1)
"""what Temporal lists may be older than this when it comes into the list"""
FIRST_LOOK = timedelta(days=1)
"""how far back the first look goes: nobody swept while no keeper ran"""
ENDED = frozenset(
    {
        WorkflowExecutionStatus.TERMINATED, WorkflowExecutionStatus.TIMED_OUT, WorkflowExecutionStatus.FAILED,
        WorkflowExecutionStatus.CANCELED, WorkflowExecutionStatus.COMPLETED,
    }
)  # fmt: skip
OVER = "TaskQueue = '{queue}' AND ExecutionStatus IN ('Terminated', 'TimedOut') AND CloseTime >= '{since}'"
OPEN = text("""
SELECT DISTINCT workflow_id, first_run_id FROM tocsin.run
WHERE ended_at IS NULL AND workflow_id = ANY(CAST(:workflow_ids AS text[]))
""")
# what ended while nobody swept for long is found in time too
SOME = text("""
SELECT DISTINCT workflow_id, first_run_id FROM tocsin.run
WHERE ended_at IS NULL AND workflow_id > :after ORDER BY workflow_id LIMIT :most
""")
END = text("""
UPDATE tocsin.run SET state = 'terminated', ended_by = :execution, ended_at = clock_timestamp()
WHERE workflow_id = :workflow_id AND first_run_id = :first_run_id AND ended_at IS NULL RETURNING run, event, playbook
""")
VOID = text("""
UPDATE tocsin.approval SET state = 'void', decided_at = clock_timestamp()
FROM tocsin.run WHERE run.run = approval.run AND approval.state = 'waiting' AND run.state = 'terminated'
RETURNING approval.id, approval.step, approval.run
""")
# a run ends when what it waits for has ended, unless somebody terminated it, or reset it to before it had called that
LEFT_ALONE = text("""
SELECT sub.workflow_id FROM tocsin.run sub JOIN tocsin.run caller ON caller.run = sub.called_by
WHERE sub.ended_at IS NULL AND caller.ended_at IS NOT NULL
""")


@dataclass
class Sweeper:
    """A duty of the keeper. What it finds again has changed nothing the second time."""

    client: Client
    engine: AsyncEngine
    task_queue: str
    turns: Turns
    every: float = EVERY
    clock: Callable[[], float] = time.monotonic
    name: str = "sweeper"
    _next: float = field(default=0.0, init=False)
    _since: datetime | None = field(default=None, init=False)
    _after: str = field(default="", init=False)

    async def once(self) -> int:
        """Look, where it is time to; how many runs were put on record. Temporal may be away: then it is for later."""
        if self.clock() < self._next:
            return 0
        self._next = self.clock() + self.every
        try:
            return await self._sweep()
        except RPCError as error:
            log.warning("sweeper.waiting", error=error.message)
            return 0

    async def _sweep(self) -> int:
        began = datetime.now(UTC)
        ended = [await self._end(run) for run in await self._dead(self._since or began - FIRST_LOOK)]
        self._since = began - LATE
        await self._void_what_they_asked()
        await self._cancel_what_they_called()
        return sum(ended)

    async def _dead(self, since: datetime) -> list[tuple[str, str, str]]:
        """The runs that are open here and not there, as far as is seen now: workflow, first and last execution."""
        query = OVER.format(queue=self.task_queue, since=f"{since:%Y-%m-%dT%H:%M:%SZ}")
        over = {one.id async for one in self.client.list_workflows(query)}
        async with single_statement(self.engine) as connection:
            listed = (await connection.execute(OPEN, {"workflow_ids": sorted(over)})).all()
            some = (await connection.execute(SOME, {"after": self._after, "most": AT_ONCE})).all()
        self._after = some[-1].workflow_id if len(some) == AT_ONCE else ""
        rows = {*listed, *some}
        return [(row.workflow_id, row.first_run_id, last) for row in rows if (last := await self._last(row))]

    async def _last(self, row: Row[tuple[str, str]]) -> str | None:
        """The execution that ended the chain; none where it goes on, as it does after a reset."""
        handle = self.client.get_workflow_handle(row.workflow_id, first_execution_run_id=row.first_run_id)
        try:
            described = await handle.describe()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return None  # it was deleted; or this is another Temporal, and then nothing is known of any run
        if described.raw_description.workflow_execution_info.first_run_id != row.first_run_id:
            return str(row.first_run_id)  # a later alert has started another chain under this id
        return str(described.run_id) if described.status in ENDED else None

    async def _end(self, dead: tuple[str, str, str]) -> int:
        values = dict(zip(("workflow_id", "first_run_id", "execution"), dead, strict=True))
        async with transaction(self.engine) as connection:
            rows = (await connection.execute(END, values)).all()
            await record(connection, [_ended(row) for row in rows])
        for row in rows:
            log.warning("run.terminated", run=row.run, playbook=row.playbook)
            await self.turns.give(row.playbook)
        return len(rows)

    async def _void_what_they_asked(self) -> None:
        """Also what an activity that was under way asked when its run was over already."""
        async with transaction(self.engine) as connection:
            rows = (await connection.execute(VOID)).all()
            await record(connection, [_voided(row) for row in rows])

    async def _cancel_what_they_called(self) -> None:
        """Ask until they have ended; who was asked already hears nothing new."""
        async with single_statement(self.engine) as connection:
            rows = (await connection.execute(LEFT_ALONE)).all()
        for row in rows:
            try:
                await self.client.get_workflow_handle(row.workflow_id).cancel()
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise


def _ended(row: Row[tuple[str, str, str]]) -> Event:
    body = {"state": "terminated", "message": "Temporal ended it: nothing of it runs any more"}
    return Event(type="run.ended", run=row.run, subject=row.event, body=body)


def _voided(row: Row[tuple[str, str, str]]) -> Event:
    body = {"step": row.step, "approval": row.id, "status": "void", "why": "the run was terminated"}
    return Event(type="approval.decided", run=row.run, body=body)
