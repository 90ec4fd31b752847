"""Approvals in Postgres: asked, answered, decided; readable also while no worker runs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from orchestrator.actions.canonical import CanonicalRequest, digest_of
from orchestrator.actions.recording import told
from orchestrator.audit.database import single_statement, storable, transaction
from orchestrator.audit.events import Event, record, to_json
from orchestrator.language.host import Answered, ApprovalRequest, AskRequest, Decision, RunContext, StepStatus
from orchestrator.workflow.approval import Judged, Question, silence, state_of
from orchestrator.workflow.messages import Ask, SignalSeen, TakeIn

ASK = text("""
INSERT INTO tocsin.approval (id, run, playbook, workflow_id, first_run_id, step, digest, request, card, deadline, path,
    asked_in, asked_after, shadowed, demanded)
VALUES (:id, :run, :playbook, :workflow_id, :first_run_id, :step, :digest, CAST(:request AS jsonb), :card, :deadline,
    CAST(:path AS text[]), :asked_in, :asked_after, CAST(:shadowed AS jsonb), :demanded)
ON CONFLICT (id) DO NOTHING RETURNING 1
""")
# of what one step asked with different words, only what was asked last is answered: a task that is carried out again,
# with alerts that joined meanwhile, asks for something else, and so does a run that was reset
REPLACED = text("""
WITH open AS (
    SELECT id, row_number() OVER (ORDER BY asked_in = :asked_in DESC, asked_after DESC, asked_at DESC) AS age
    FROM tocsin.approval
    WHERE run = :run AND first_run_id = :first_run_id AND path = CAST(:path AS text[]) AND state = 'waiting'
)
UPDATE tocsin.approval SET state = 'void', decided_at = clock_timestamp()
FROM open WHERE open.id = approval.id AND open.age > 1 RETURNING approval.id, step
""")
DROPPED = text("""
UPDATE tocsin.approval SET state = 'void', decided_at = clock_timestamp()
WHERE run = :run AND first_run_id = :first_run_id AND state = 'waiting' AND asked_in = :asked_in
    AND asked_after < :place AND to_jsonb(path) <> ALL (SELECT jsonb_array_elements(CAST(:asking AS jsonb)))
RETURNING id, step
""")
STORED = text("SELECT state, decision, deadline, card FROM tocsin.approval WHERE id = :id FOR UPDATE")
OF_RUN = text("""
SELECT id AS approval, step, digest, deadline, state, decision->>'by' AS by FROM tocsin.approval
WHERE run = :run AND first_run_id = :first_run_id ORDER BY asked_at
""")
VOID = text("""
UPDATE tocsin.approval SET state = 'void', decided_at = clock_timestamp() WHERE id = :id AND state = 'waiting'
RETURNING id, step
""")
DECIDE = text("""
UPDATE tocsin.approval SET state = :state, decision = CAST(:decision AS jsonb), decided_at = clock_timestamp()
WHERE id = :id AND state = 'waiting' RETURNING 1
""")
ANSWER = text("""
INSERT INTO tocsin.approval_answer
    (approval, workflow_id, run_id, event_id, signal, answered_at, by, trust, verdict, reason)
VALUES (:approval, :workflow_id, :run_id, :event_id, :signal, :answered_at, :by, :trust, :verdict, :reason)
ON CONFLICT DO NOTHING RETURNING 1
""")
COUNTED = text("""
SELECT event_id, signal, answered_at, by, trust FROM tocsin.approval_answer
WHERE approval = :approval AND run_id <> :run_id AND verdict = 'counted' ORDER BY answered_at, event_id
""")
LISTED = text("""
SELECT id, run, playbook, workflow_id, step, digest, card, state, asked_at, deadline, decision FROM tocsin.approval
WHERE (:name = '' AND state = 'waiting') OR (:name <> '' AND (run = :name OR workflow_id = :name OR id = :name))
ORDER BY asked_at
""")
ANSWERS = text("""
SELECT signal, answered_at, by, trust, verdict, reason FROM tocsin.approval_answer
WHERE workflow_id = :workflow_id AND answered_at > to_timestamp(0) + :after * interval '1 microsecond'
ORDER BY answered_at, event_id
""")
LAST_ANSWER = text("""
SELECT COALESCE((extract(epoch FROM max(answered_at)) * 1000000)::bigint, 0)
FROM tocsin.approval_answer WHERE workflow_id = :workflow_id
""")


class ApprovalRow(BaseModel):
    """An approval as people find it."""

    model_config = ConfigDict(frozen=True)

    id: str
    run: str
    playbook: str
    workflow_id: str
    step: str
    digest: str
    card: str
    state: str
    asked_at: datetime
    deadline: datetime | None
    decision: dict[str, Any] | None


class Recorded(BaseModel):
    """A question as it was recorded first: asking again finds the same, whenever that is."""

    model_config = ConfigDict(frozen=True)

    deadline: datetime | None
    card: str
    decision: Decision | Answered | None = None


def digest_shown(
    context: RunContext, path: tuple[str, ...], requests: Sequence[CanonicalRequest], after_reset: str = ""
) -> str:
    """The digest that answers carry: over the requests, and over the chain of runs, the run and the step that ask.

    So the same requests asked about again, by the next run of a chain or after a reset, want a new answer.
    """
    bound = (context.first_run_id, after_reset, context.run, *path, digest_of(requests))
    return "sha256:" + hashlib.sha256("\x1f".join(bound).encode()).hexdigest()


def question_digest(context: RunContext, request: AskRequest, after_reset: str = "") -> str:
    """The same for a question: over its words and what an answer holds."""
    asked = to_json([request.ask, request.fields, request.otherwise])
    bound = (context.first_run_id, after_reset, context.run, *request.path, asked)
    return "sha256:" + hashlib.sha256("\x1f".join(bound).encode()).hexdigest()


def approval_id(digest: str) -> str:
    """The id of the question that shows this digest."""
    return digest.removeprefix("sha256:")[:32]


class Questions:
    """The approvals of runs. Every call may be repeated: it finds what it did before."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def ask(
        self,
        ask: Ask,
        digest: str,
        requests: Sequence[CanonicalRequest],
        card: str,
        execution: str,
        shadowed: Sequence[str] = (),
    ) -> Recorded:
        """Record the question, with its decision where there is one already or nobody has to be asked.

        What the same step asked before with other words is void; `execution` is Temporal's id of the one that asks.
        `shadowed` says of each request what keeps it from being sent, if anything does.
        """
        context, request, approval = ask.context, ask.request, approval_id(digest)
        shown = [one.model_dump(mode="json") for one in requests]
        row = {
            "id": approval, "run": context.run, "playbook": context.playbook, "workflow_id": context.workflow_id,
            "first_run_id": context.first_run_id, "step": request.step, "digest": digest, "request": to_json(shown),
            "card": storable(card), "deadline": request.deadline, "path": list(request.path), "asked_in": execution,
            "asked_after": ask.place, "shadowed": to_json(list(shadowed)),
            "demanded": (request.demanded or None) if isinstance(request, ApprovalRequest) else None,
        }  # fmt: skip
        async with transaction(self._engine) as connection:
            if (await connection.execute(ASK, row)).first() is None:
                return await _stored(connection, approval)
            body = {
                "approval": approval, "step": request.step, "ask": request.ask, "digest": digest, "requests": shown,
                "deadline": str(request.deadline), "group": request.group, "otherwise": request.otherwise,
                "kind": "ask" if isinstance(request, AskRequest) else "approval", "demanded": row["demanded"],
            }  # fmt: skip
            asked = Event(type="approval.asked", run=context.run, body=body)
            await record(connection, [*(told(context, one) for one in ask.traces), asked])
            decision, why = _without_people(ask, approval)
            if decision is not None:
                await _decide(connection, context, approval, request.step, decision, why)
            await _void(connection, context, REPLACED, row, "it was asked anew, with other content")
        return Recorded(deadline=request.deadline, card=card, decision=decision)

    async def of_run(self, context: RunContext) -> list[Question]:
        """What the run has asked so far."""
        async with single_statement(self._engine) as connection:
            values = {"run": context.run, "first_run_id": context.first_run_id}
            return [Question(**row) for row in (await connection.execute(OF_RUN, values)).mappings().all()]

    async def answered(self, context: RunContext, run_id: str, approval: str | None, judged: Sequence[Judged]) -> None:
        """Record answers with what became of each; `run_id` is the execution whose history they stand in."""
        async with transaction(self._engine) as connection:
            for one in judged:
                signal = one.signal
                row = {
                    "approval": approval, "workflow_id": context.workflow_id, "run_id": run_id,
                    "event_id": signal.event_id, "signal": signal.signal, "answered_at": signal.at,
                    "by": one.by, "trust": one.trust, "verdict": one.verdict, "reason": one.reason,
                }  # fmt: skip
                if (await connection.execute(ANSWER, row)).first() is None:
                    continue
                body = {**row, "answered_at": signal.at.isoformat(), "identity": signal.identity, "note": one.note}
                await record(connection, [Event(type="approval.answered", run=context.run, body=body)])

    async def counted(self, approval: str, run_id: str) -> list[Judged]:
        """Who has answered it before the execution `run_id`, where the run went on in a new one meanwhile."""
        async with single_statement(self._engine) as connection:
            rows = await connection.execute(COUNTED, {"approval": approval, "run_id": run_id})
            return [
                Judged(
                    SignalSeen(event_id=row.event_id, at=row.answered_at, signal=row.signal),
                    row.by, row.trust, "counted", row.signal,
                )
                for row in rows
            ]  # fmt: skip

    async def decide(
        self, context: RunContext, approval: str, step: str, decision: Decision | Answered
    ) -> Decision | Answered:
        """Record the decision; where there is one already, that one stands."""
        async with transaction(self._engine) as connection:
            stored = await _stored(connection, approval)
            if stored.decision is not None:
                return stored.decision
            await _decide(connection, context, approval, step, decision, {})
        return decision

    async def void(self, context: RunContext, approval: str, why: str) -> None:
        """Nobody has to answer this any more."""
        async with transaction(self._engine) as connection:
            await _void(connection, context, VOID, {"id": approval}, why)

    async def decision(self, approval: str) -> Decision | Answered | None:
        """The decision, where there is one."""
        async with transaction(self._engine) as connection:
            return (await _stored(connection, approval)).decision

    async def listed(self, name: str = "") -> list[ApprovalRow]:
        """What waits; or all that was asked in one run, by its name, its workflow id, or the id of the question."""
        async with single_statement(self._engine) as connection:
            rows = (await connection.execute(LISTED, {"name": storable(name)})).mappings().all()
        return [ApprovalRow(**row) for row in rows]

    async def last_answer(self, workflow_id: str) -> int:
        """When the last answer came that was judged: microseconds of the server's clock since 1970, 0 for never."""
        async with single_statement(self._engine) as connection:
            return int((await connection.execute(LAST_ANSWER, {"workflow_id": workflow_id})).scalar_one())

    async def answers_after(self, workflow_id: str, after: int) -> list[dict[str, Any]]:
        """The answers that came since then (see `last_answer`) and were judged, with what became of each."""
        async with single_statement(self._engine) as connection:
            values = {"workflow_id": workflow_id, "after": after}
            return [dict(row) for row in (await connection.execute(ANSWERS, values)).mappings().all()]


def _without_people(ask: Ask, approval: str) -> tuple[Decision | Answered | None, dict[str, Any]]:
    """The decision where the playbook's `auto` approves, or nothing will be sent anyhow; with the values behind it."""
    if isinstance(ask.request, AskRequest):
        return (silence(ask.request), {"reason": "shadow"}) if ask.context.mode == "shadow" else (None, {})
    approved = Decision(status=StepStatus.SUCCEEDED, approval=approval, auto=True)
    if ask.request.auto_reason is not None:
        return approved, {"reason": ask.request.auto_reason}
    if ask.context.mode == "shadow":
        return approved.model_copy(update={"note": "shadow mode: shown, and not waited for"}), {"reason": "shadow"}
    return None, {}


async def _stored(connection: AsyncConnection, approval: str) -> Recorded:
    row = (await connection.execute(STORED, {"id": approval})).one()
    kind = Decision if "approval" in (row.decision or {}) else Answered
    decision = kind.model_validate(row.decision) if row.decision else None
    if row.state == "void" and decision is None:
        decision = Decision(status=StepStatus.EXPIRED, approval=approval, note="void: nobody had to answer any more")
    return Recorded(deadline=row.deadline, card=row.card, decision=decision)


async def void_dropped(connection: AsyncConnection, taken: TakeIn, execution: str) -> None:
    """Nobody has to answer what an execution asked in a task that was dropped, and did not come to ask again."""
    context = taken.context
    values = {
        "run": context.run, "first_run_id": context.first_run_id, "asked_in": execution, "place": taken.place,
        "asking": to_json([list(path) for path in taken.asking]),
    }  # fmt: skip
    await _void(connection, context, DROPPED, values, "the run took another way, with alerts that joined")


async def _void(
    connection: AsyncConnection, context: RunContext, which: TextClause, values: dict[str, Any], why: str
) -> None:
    rows = (await connection.execute(which, values)).all()
    bodies = [{"step": row.step, "approval": row.id, "status": "void", "why": why} for row in rows]
    if bodies:
        await record(connection, [Event(type="approval.decided", run=context.run, body=body) for body in bodies])


async def _decide(
    connection: AsyncConnection,
    context: RunContext,
    approval: str,
    step: str,
    decision: Decision | Answered,
    why: dict[str, Any],
) -> None:
    plain = decision.model_dump(mode="json")
    values = {"state": state_of(decision), "decision": to_json(plain), "id": approval}
    await connection.execute(DECIDE, values)
    body = {"step": step, "approval": approval, "auto": False, **plain, **why}
    await record(connection, [Event(type="approval.decided", run=context.run, body=body)])
