"""Who has an alert: decided here, in Postgres, by the run itself.

Whoever may send Signals in Temporal may also press Start there. So a run that no reviewed playbook and no recorded
alert stand behind does nothing.
"""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from orchestrator.audit.database import transaction
from orchestrator.audit.events import Event, record
from orchestrator.contract.values import Severity
from orchestrator.language.host import RunContext
from orchestrator.workflow.messages import Begin, Begun, Finish, JoinedAlert, TakeIn

REGISTERED = text("SELECT 1 FROM tocsin.playbook_version WHERE digest = :digest AND name = :playbook")
RECORDED = text("SELECT key FROM tocsin.alert WHERE key = ANY(CAST(:keys AS text[]))")
CLAIM = text("""
INSERT INTO tocsin.claim (playbook, alert_key, run, workflow_id, first_run_id, how)
VALUES (:playbook, :alert_key, :run, :workflow_id, :first_run_id, :how) ON CONFLICT (playbook, alert_key) DO NOTHING
RETURNING 1
""")
HOLDER = text("SELECT * FROM tocsin.claim WHERE playbook = :playbook AND alert_key = :alert_key FOR UPDATE")
TAKE_OVER = text("""
UPDATE tocsin.claim SET run = :run, how = 'started' WHERE playbook = :playbook AND alert_key = :alert_key
""")
ENDED = text("""
SELECT run, severity FROM tocsin.run
WHERE playbook = :playbook AND group_key = :group_key AND ended_at > clock_timestamp() - make_interval(secs => :join)
ORDER BY ended_at DESC LIMIT 1
""")
START = text("""
INSERT INTO tocsin.run (run, playbook, digest, event, group_key, workflow_id, first_run_id, mode, severity)
VALUES (:run, :playbook, :digest, :event, :group_key, :workflow_id, :first_run_id, :mode, :severity)
ON CONFLICT (run) DO NOTHING RETURNING 1
""")
COUNT = text("UPDATE tocsin.run SET joined = joined + :count, severity = :severity WHERE run = :run")
OF_RUN = text("SELECT severity FROM tocsin.run WHERE run = :run FOR UPDATE")
END = text("""
UPDATE tocsin.run SET state = :state, failed_step = :failed_step, error = CAST(:error AS jsonb),
    ended_at = clock_timestamp() WHERE run = :run AND ended_at IS NULL RETURNING 1
""")
VOID = text(
    "UPDATE tocsin.approval SET state = 'void', decided_at = clock_timestamp() WHERE run = :run AND state = 'waiting'"
)


class Claims:
    """The claims in Postgres. Every call may be repeated: it finds what it did before."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def begin(self, begin: Begin) -> Begun:
        """Take the alert for this run, or say who has it."""
        async with transaction(self._engine) as connection:
            refusal = await _refusal(connection, begin)
            if refusal:
                await record(connection, [_event("run.refused", begin.context, begin.alert_key, {"why": refusal})])
                return Begun(verdict="refused", why=refusal)
            held = await _held(connection, begin.context, begin.alert_key)
            if held is not None and held.verdict != "mine":
                if held.verdict == "duplicate":
                    body = {"by": held.by, "workflow_id": begin.context.workflow_id}
                    await record(connection, [_event("alert.duplicate", begin.context, begin.alert_key, body)])
                return held
            if held is None and (ended := await _ended(connection, begin)) is not None:
                return await _count(connection, begin, ended)
            if held is not None:  # an alert that had joined this chain of runs and goes on as a run of its own
                values = {"run": begin.context.run, "playbook": begin.context.playbook, "alert_key": begin.alert_key}
                await connection.execute(TAKE_OVER, values)
            elif not await _claim(connection, begin.context, begin.alert_key, "started"):
                return Begun(verdict="duplicate")  # somebody else was quicker by a moment
            await _start(connection, begin)
        return Begun(verdict="mine")

    async def take_in(self, taken: TakeIn) -> list[str]:
        """Claim joined alerts for the run; the keys of those that are its own now."""
        keys = [one.alert_key for one in taken.alerts]
        async with transaction(self._engine) as connection:
            recorded = set((await connection.execute(RECORDED, {"keys": keys})).scalars())
            row = (await connection.execute(OF_RUN, {"run": taken.context.run})).first()
            worst = Severity.parse(row.severity) if row and row.severity else Severity.INFORMATIONAL
            mine: list[str] = []
            fresh: list[JoinedAlert] = []
            for one in taken.alerts:
                if one.alert_key not in recorded:
                    body = {"why": "no such alert was recorded"}
                    await record(connection, [_event("alert.refused", taken.context, one.alert_key, body)])
                elif await _claim(connection, taken.context, one.alert_key, taken.how):
                    fresh.append(one)
                    mine.append(one.alert_key)
                elif (held := await _held(connection, taken.context, one.alert_key)) and held.verdict == "mine":
                    mine.append(one.alert_key)
                else:
                    body = {"by": held.by if held else None}
                    await record(connection, [_event("alert.duplicate", taken.context, one.alert_key, body)])
            worst = max([worst, *(Severity.parse(one.severity) for one in fresh)])
            if fresh:
                values = {"count": len(fresh), "severity": str(worst), "run": taken.context.run}
                await connection.execute(COUNT, values)
            kind = f"alert.{taken.how}"
            await record(
                connection, [_event(kind, taken.context, one.alert_key, {"reason": one.reason}) for one in fresh]
            )
        return mine

    async def finish(self, finish: Finish) -> None:
        """Record the end of the run, once, with what it had decided and no action had carried."""
        context = finish.context
        error = finish.error.model_dump_json() if finish.error else None
        values = {"state": finish.state, "failed_step": finish.failed_step, "error": error, "run": context.run}
        async with transaction(self._engine) as connection:
            if (await connection.execute(END, values)).first() is None:
                return
            await connection.execute(VOID, {"run": context.run})
            traces = [
                Event(
                    type=one.type,
                    run=context.run,
                    body={"step": one.step, "decided_at": one.at.isoformat(), **one.body},
                )
                for one in finish.traces
            ]
            body = {"state": finish.state, "failed_step": finish.failed_step, "steps": finish.steps}
            body["error"] = finish.error.model_dump(mode="json") if finish.error else None
            await record(
                connection, [*traces, Event(type="run.ended", run=context.run, subject=context.event, body=body)]
            )


async def _refusal(connection: AsyncConnection, begin: Begin) -> str | None:
    values = {"digest": begin.context.digest, "playbook": begin.context.playbook}
    if (await connection.execute(REGISTERED, values)).first() is None:
        return f"no reviewed file holds this version of {begin.context.playbook}"
    if (await connection.execute(RECORDED, {"keys": [begin.alert_key]})).first() is None:
        return "nobody recorded this alert: neither intake nor `tocsin run` started this"
    return None


async def _held(connection: AsyncConnection, context: RunContext, alert_key: str) -> Begun | None:
    """Who has the alert already."""
    values = {"playbook": context.playbook, "alert_key": alert_key}
    row = (await connection.execute(HOLDER, values)).first()
    if row is None:
        return None
    if (row.workflow_id, row.first_run_id) != (context.workflow_id, context.first_run_id):
        return Begun(verdict="duplicate", by=row.run)
    return Begun(verdict="counted" if row.how == "counted" else "mine", by=row.run)


async def _claim(connection: AsyncConnection, context: RunContext, alert_key: str, how: str, run: str = "") -> bool:
    values = {
        "playbook": context.playbook, "alert_key": alert_key, "run": run or context.run, "how": how,
        "workflow_id": context.workflow_id, "first_run_id": context.first_run_id,
    }  # fmt: skip
    return (await connection.execute(CLAIM, values)).first() is not None


async def _ended(connection: AsyncConnection, begin: Begin) -> str | None:
    """The run that ended a moment ago and has seen nothing less severe: then this repeat is only counted."""
    if begin.group_key is None or begin.join <= 0:
        return None
    values = {"playbook": begin.context.playbook, "group_key": begin.group_key, "join": begin.join}
    row = (await connection.execute(ENDED, values)).first()
    if row is None or Severity.parse(begin.severity) > Severity.parse(row.severity or "informational"):
        return None
    return str(row.run)


async def _count(connection: AsyncConnection, begin: Begin, ended: str) -> Begun:
    if not await _claim(connection, begin.context, begin.alert_key, "counted", ended):
        return await _held(connection, begin.context, begin.alert_key) or Begun(verdict="duplicate")
    row = (await connection.execute(OF_RUN, {"run": ended})).one()
    await connection.execute(COUNT, {"count": 1, "severity": row.severity, "run": ended})
    event = Event(type="alert.counted", run=ended, subject=begin.alert_key, body={"reason": begin.reason})
    await record(connection, [event])
    return Begun(verdict="counted", by=ended)


async def _start(connection: AsyncConnection, begin: Begin) -> None:
    context = begin.context
    values = {
        "run": context.run, "playbook": context.playbook, "digest": context.digest, "event": context.event,
        "group_key": begin.group_key, "workflow_id": context.workflow_id, "first_run_id": context.first_run_id,
        "mode": context.mode, "severity": begin.severity,
    }  # fmt: skip
    if (await connection.execute(START, values)).first() is None:
        return
    body = {
        "playbook": context.playbook, "digest": context.digest, "workflow_id": context.workflow_id,
        "mode": context.mode, "severity": begin.severity, "reason": begin.reason,
    }  # fmt: skip
    await record(connection, [_event("run.started", context, begin.alert_key, body)])


def _event(kind: str, context: RunContext, alert_key: str, body: dict[str, object]) -> Event:
    return Event(type=kind, run=context.run, subject=alert_key, body=body)
