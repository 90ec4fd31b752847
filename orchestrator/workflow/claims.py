"""Who has an alert: decided here, in Postgres, by the run itself.

Whoever may send Signals in Temporal may also press Start there. So a run that no reviewed playbook and no recorded
alert stand behind does nothing.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from orchestrator.actions.recording import told
from orchestrator.audit.database import single_statement, storable, transaction
from orchestrator.audit.events import Event, record, to_json
from orchestrator.contract.values import Severity
from orchestrator.policy.modes import Decided
from orchestrator.policy.section import Line
from orchestrator.workflow.joining import HELD, is_holder, take_in, tally
from orchestrator.workflow.messages import Begin, Begun, Cancelled, Ending, Finish, TakeIn
from orchestrator.workflow.questions import void_dropped
from orchestrator.workflow.turns import leave_queue, wait_for_turn

# an alert that joined may have been recorded for a newer version than the one that its run goes on with
# the release before registers in the first of the two tables alone
ALLOWED = text("""
SELECT EXISTS (SELECT FROM tocsin.playbook_version WHERE digest = :digest AND name = :playbook)
    OR EXISTS (SELECT FROM tocsin.playbook_registered WHERE digest = :digest AND name = :playbook) AS registered,
    EXISTS (SELECT FROM tocsin.start_request WHERE alert_key = :alert_key AND playbook = :playbook AND may_start
            AND workflow_id = :workflow_id AND content = decode(:content, 'hex')) AS recorded,
    EXISTS (SELECT FROM tocsin.start_request WHERE workflow_id = :workflow_id AND playbook = :playbook
            AND digest = :digest AND mode = :mode AND group_key IS NOT DISTINCT FROM CAST(:group_key AS text)
            AND join_seconds = :join AND requester IS NOT DISTINCT FROM CAST(:requester AS text)) AS asked_for
""")
# a sub-playbook is asked for by the run that calls it (which has ended by now, if it does not wait for it), a scheduled
# one by the file that holds its schedule
CALLED = text("""
SELECT EXISTS (SELECT FROM tocsin.playbook_version WHERE digest = :digest AND name = :playbook)
    OR EXISTS (SELECT FROM tocsin.playbook_registered WHERE digest = :digest AND name = :playbook) AS registered,
    EXISTS (SELECT FROM tocsin.run WHERE workflow_id = :parent AND event = :event
            AND run = COALESCE(CAST(:caller AS text), run)) AS called,
    (SELECT document->'trigger'->'schedule' FROM tocsin.playbook_version WHERE digest = :digest) AS schedule
""")
CLAIM = text("""
INSERT INTO tocsin.claim (playbook, alert_key, run, workflow_id, first_run_id, how)
VALUES (:playbook, :alert_key, :run, :workflow_id, :first_run_id, :how) ON CONFLICT (playbook, alert_key) DO NOTHING
RETURNING 1
""")
TAKE_OVER = text("""
UPDATE tocsin.claim SET run = :run, how = 'started' WHERE playbook = :playbook AND alert_key = :alert_key
""")
ENDED = text("""
SELECT run, severity FROM tocsin.run
WHERE playbook = :playbook AND group_key = :group_key AND ended_at > clock_timestamp() - make_interval(secs => :join)
ORDER BY ended_at DESC LIMIT 1
""")
START = text("""
INSERT INTO tocsin.run (run, playbook, digest, event, group_key, workflow_id, first_run_id, mode, severity, called_by,
    called_at, mode_why)
VALUES (:run, :playbook, :digest, :event, :group_key, :workflow_id, :first_run_id, :mode, :severity, :called_by,
    CAST(:called_at AS text[]), :mode_why)
ON CONFLICT (run) DO NOTHING RETURNING 1
""")
MODE = text("SELECT mode, mode_why FROM tocsin.run WHERE run = :run FOR UPDATE")
SHADOW = text("UPDATE tocsin.run SET mode = 'shadow', mode_why = :mode_why WHERE run = :run")
ENDING = text("SELECT ending, ended_by FROM tocsin.run WHERE run = :run AND ended_at IS NOT NULL FOR UPDATE")
# its caller may have ended meanwhile, and then nobody waits for it any more
REOPEN = text("""
UPDATE tocsin.run SET state = 'running', ending = NULL, ended_by = NULL, ended_at = NULL,
    called_by = (SELECT run FROM tocsin.run caller WHERE caller.run = run.called_by AND caller.ended_at IS NULL)
WHERE run = :run
""")
# each execution ends a run once; the one after a reset ends it anew
END = text("""
UPDATE tocsin.run SET state = :state, failed_step = :failed_step, error = CAST(:error AS jsonb),
    ending = CAST(:ending AS jsonb), ended_by = :ended_by, ended_at = clock_timestamp()
WHERE run = :run AND (ended_at IS NULL OR ended_by <> :ended_by)
RETURNING EXISTS (SELECT FROM tocsin.waiting_run WHERE playbook = run.playbook) AS waited_for
""")
WORKFLOW = text("""
SELECT workflow_id FROM tocsin.run WHERE run = :name OR workflow_id = :name ORDER BY ended_at DESC NULLS FIRST LIMIT 1
""")
VOID = text("""
UPDATE tocsin.approval SET state = 'void', decided_at = clock_timestamp() WHERE run = :run AND state = 'waiting'
RETURNING id, step
""")


class Claims:
    """The claims in Postgres. Every call may be repeated: it finds what it did before."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def begin(self, begin: Begin, execution: str, mode: Decided | None = None) -> Begun:
        """Take the alert for this run, or say who has it; `execution` is Temporal's id of the one that asks.

        `mode` is what the policy makes of the mode that was asked for.
        """
        ruled = mode or Decided(_own(begin))
        async with transaction(self._engine) as connection:
            refusal = await _refusal(connection, begin)
            if refusal:
                await record(connection, [_event("run.refused", begin, {"why": refusal})])
                return Begun(verdict="refused", why=refusal)
            if begin.cancelled:
                await leave_queue(connection, begin.context.run)
            elif why := await wait_for_turn(connection, begin):
                return Begun(verdict="queued", why=why)
            ended = await _ended(connection, begin)
            if await _claim(connection, begin, ended):
                return await (
                    _count(connection, begin, ended) if ended else _start(connection, begin, execution, ruled)
                )
            return await _held(connection, begin, execution, ruled)

    async def take_in(self, taken: TakeIn, execution: str) -> list[int]:
        """Claim joined alerts for the run; the places of those that are its own now."""
        async with transaction(self._engine) as connection:
            await void_dropped(connection, taken, execution)
            return await take_in(connection, taken)

    async def finish(self, finish: Finish, execution: str, cancelled: Cancelled | None = None) -> bool:
        """Record the end of the run, once, with what it had decided and no action had carried, and who cancelled it.

        Says whether others wait for its place.
        """
        context, ending = finish.context, finish.ending
        plain = ending.model_dump(mode="json")
        values = {
            "run": context.run, "state": ending.state, "failed_step": ending.failed_step, "ended_by": execution,
            "error": to_json(plain["error"]) if ending.error else None, "ending": to_json(plain),
        }  # fmt: skip
        async with transaction(self._engine) as connection:
            ended = (await connection.execute(END, values)).first()
            if ended is None:
                return False
            events = [told(context, one) for one in finish.traces]
            for row in await connection.execute(VOID, {"run": context.run}):
                body = {"step": row.step, "approval": row.id, "status": "void", "why": "the run has ended"}
                events.append(Event(type="approval.decided", run=context.run, body=body))
            if cancelled is not None:
                events.append(Event(type="run.cancelled", run=context.run, body=cancelled.model_dump(mode="json")))
            events.append(Event(type="run.ended", run=context.run, subject=context.event, body=plain))
            await record(connection, events)
        return bool(ended.waited_for)


async def _refusal(connection: AsyncConnection, begin: Begin) -> str | None:
    """Why nobody reviewed, recorded or asked for this; None where somebody did."""
    context = begin.context
    if begin.how in ("playbook", "schedule"):
        return await _refusal_of_call(connection, begin)
    values = {
        "digest": context.digest, "playbook": context.playbook, "alert_key": begin.alert_key, "mode": context.mode,
        "workflow_id": context.workflow_id, "content": begin.content, "group_key": storable(begin.group_key),
        "join": begin.join, "requester": context.requester,
    }  # fmt: skip
    found = (await connection.execute(ALLOWED, values)).one()
    if not found.registered:
        return f"no reviewed file holds this version of {context.playbook}"
    if not found.recorded:
        return "neither intake nor `tocsin run` recorded this alert, with this content, for this run"
    if not found.asked_for:
        return "neither intake nor `tocsin run` asked for this version, mode, key and `join`"
    return None


async def _refusal_of_call(connection: AsyncConnection, begin: Begin) -> str | None:
    """Why nobody who may has called this; what the server says of the start counts, not what the start says."""
    context = begin.context
    values = {
        "digest": context.digest, "playbook": context.playbook, "parent": begin.parent or "", "event": context.event,
        "caller": begin.caller,
    }  # fmt: skip
    found = (await connection.execute(CALLED, values)).one()
    if not found.registered:
        return f"no reviewed file holds this version of {context.playbook}"
    if begin.how == "playbook" and not found.called:
        return "no run has called this sub-playbook"
    if begin.how == "schedule" and not (found.schedule and (begin.scheduled_at or begin.continued)):
        return "no schedule of a reviewed file has started this"
    return None


async def _ended(connection: AsyncConnection, begin: Begin) -> str | None:
    """The run that ended a moment ago and has seen nothing less severe: then this repeat is only counted."""
    if begin.group_key is None or begin.join <= 0:
        return None
    values = {"playbook": begin.context.playbook, "group_key": storable(begin.group_key), "join": begin.join}
    row = (await connection.execute(ENDED, values)).first()
    if row is None or Severity.parse(begin.severity) > Severity.parse(row.severity or "informational"):
        return None
    return str(row.run)


async def _claim(connection: AsyncConnection, begin: Begin, ended: str | None) -> bool:
    """Take the alert if nobody has it; of runs that ask at the same time, one gets it."""
    context = begin.context
    values = {
        "playbook": context.playbook, "alert_key": begin.alert_key, "run": ended or context.run,
        "how": "counted" if ended else "started", "workflow_id": context.workflow_id,
        "first_run_id": context.first_run_id,
    }  # fmt: skip
    return (await connection.execute(CLAIM, values)).first() is not None


async def _held(connection: AsyncConnection, begin: Begin, execution: str, ruled: Decided) -> Begun:
    """Who has the alert: this chain of runs from before, or somebody else."""
    context = begin.context
    held: Row[Any] = (await connection.execute(HELD, {"playbook": context.playbook, "keys": [begin.alert_key]})).one()
    if not is_holder(held, context):
        body: dict[str, object] = {"by": held.run, "workflow_id": context.workflow_id}
        await record(connection, [_event("alert.duplicate", begin, body)])
        return Begun(verdict="duplicate", by=held.run)
    if held.how == "counted":
        return Begun(verdict="counted", by=held.run)
    if held.run != context.run:  # it had joined an earlier run of this chain, and now gets one of its own
        await tally(connection, held.run, -1)
        values = {"run": context.run, "playbook": context.playbook, "alert_key": begin.alert_key}
        await connection.execute(TAKE_OVER, values)
    return await _start(connection, begin, execution, ruled)


async def _count(connection: AsyncConnection, begin: Begin, ended: str) -> Begun:
    await tally(connection, ended, 1)
    event = Event(type="alert.counted", run=ended, subject=begin.alert_key, body={"reason": begin.reason})
    await record(connection, [event])
    return Begun(verdict="counted", by=ended)


async def _start(connection: AsyncConnection, begin: Begin, execution: str, ruled: Decided) -> Begun:
    """The run in its table: new, going on, or opened again by somebody who reset it in Temporal."""
    context = begin.context
    values = {
        "run": context.run, "playbook": context.playbook, "digest": context.digest, "event": context.event,
        "group_key": storable(begin.group_key), "workflow_id": context.workflow_id,
        "first_run_id": context.first_run_id, "mode": ruled.mode, "severity": begin.severity,
        "called_by": begin.caller, "called_at": list(begin.called_at), "mode_why": ruled.why or None,
    }  # fmt: skip
    if (await connection.execute(START, values)).first() is not None:
        body: dict[str, object] = {
            "playbook": context.playbook, "digest": context.digest, "workflow_id": context.workflow_id,
            "mode": ruled.mode, "severity": begin.severity, "reason": begin.reason, "mode_why": ruled.why or None,
        }  # fmt: skip
        await record(connection, [_event("run.started", begin, body)])
        return Begun(verdict="mine", mode=ruled.mode, mode_why=ruled.why)
    ended = (await connection.execute(ENDING, {"run": context.run})).first()
    if ended is not None and ended.ended_by == execution:
        begun = await _in_its_mode(connection, begin, ruled)
        return begun.model_copy(update={"ending": Ending.model_validate(ended.ending)})
    if ended is not None:
        await connection.execute(REOPEN, {"run": context.run})
        await record(connection, [_event("run.reopened", begin, {"workflow_id": context.workflow_id})])
    return await _in_its_mode(connection, begin, ruled)


async def _in_its_mode(connection: AsyncConnection, begin: Begin, ruled: Decided) -> Begun:
    """A run that has begun before: in shadow it stays so, since what its steps imagined was never done."""
    run = begin.context.run
    was = (await connection.execute(MODE, {"run": run})).one()
    if was.mode == "shadow":
        return Begun(verdict="mine", mode="shadow", mode_why=was.mode_why or "")
    if ruled.mode == "shadow":
        await connection.execute(SHADOW, {"run": run, "mode_why": ruled.why})
        body: dict[str, object] = {"mode": "shadow", "why": ruled.why}
        await record(connection, [_event("run.mode_changed", begin, body)])
    return Begun(verdict="mine", mode=ruled.mode, mode_why=ruled.why)


def _own(begin: Begin) -> tuple[Line, ...]:
    """What the run itself says of its mode."""
    return (Line("asked for in shadow", origin="the run"),) if begin.context.mode == "shadow" else ()


def _event(kind: str, begin: Begin, body: dict[str, object]) -> Event:
    return Event(type=kind, run=begin.context.run, subject=begin.alert_key, body=body)


async def workflow_of(engine: AsyncEngine, name: str) -> str:
    """The workflow id of the newest run of this name; a name that no run has yet is taken for a workflow id."""
    async with single_statement(engine) as connection:
        return (await connection.execute(WORKFLOW, {"name": name})).scalar() or name
