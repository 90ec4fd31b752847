"""What waits above budgets, in Postgres: of each card as one question, and the decision on that is the grant.

An approval of the card lets exactly the actions pass that it lists (`budget_answers` in the migrations), so there is
nothing to be done between a decision and its effect.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from orchestrator.actions.canonical import CanonicalRequest
from orchestrator.actions.ledger import Entry, Reached
from orchestrator.audit.database import single_statement, storable, transaction
from orchestrator.audit.events import Event, record, to_json
from orchestrator.language.host import ApprovalRequest, RunContext
from orchestrator.workflow.budget_card import Waiting, budget_card_of
from orchestrator.workflow.messages import AboveAsked, AskAbove, Asked
from orchestrator.workflow.questions import ASK, VOID, approval_id, digest_shown

STEP = "budget"
"""what answers name as the step"""
MOST = 1_000
"""actions on one card; what is more is asked about with the next one"""
LOCK = text("SELECT pg_advisory_xact_lock(hashtext('tocsin.budget_card ' || :card))")
# of those that ended meanwhile nobody wants anything any more
WAITING = text("""
SELECT w.key, w.run, w.since, w.parameters_digest, w.entry, w.budget, w.question, p.state, p.digest, p.card, p.deadline
FROM tocsin.budget_waiting w LEFT JOIN tocsin.approval p ON p.id = w.question
WHERE w.card = :card AND (w.question IS NULL OR p.state IN ('waiting', 'void'))
    AND (p.state = 'waiting' OR NOT EXISTS (SELECT FROM tocsin.run r WHERE r.run = w.run AND r.ended_at IS NOT NULL))
ORDER BY w.since, w.key FOR UPDATE OF w
""")
LISTED_ON = text("UPDATE tocsin.budget_waiting SET question = :question WHERE card = :card AND key = ANY(:keys)")
COUNTED = text("""
SELECT w.card, count(*) AS actions, count(DISTINCT w.entry->>'target') AS targets, count(DISTINCT w.run) AS runs,
    min(w.since) AS since, max(p.deadline) AS until, max(p.run) AS asked
FROM tocsin.budget_waiting w LEFT JOIN tocsin.approval p ON p.id = w.question
WHERE (w.question IS NULL OR p.state IN ('waiting', 'void'))
    AND NOT EXISTS (SELECT FROM tocsin.run r WHERE r.run = w.run AND r.ended_at IS NOT NULL)
GROUP BY w.card ORDER BY min(w.since)
""")
AsAsked = Callable[[Entry], CanonicalRequest]


class Counted(BaseModel):
    """What waits under one card: how much, since when, and the run that asks about it, where it asks already."""

    model_config = ConfigDict(frozen=True)

    card: str
    actions: int
    targets: int
    runs: int
    since: datetime
    until: datetime | None
    asked: str | None


async def waiting(engine: AsyncEngine) -> list[Counted]:
    """What waits above budgets, the longest first."""
    async with single_statement(engine) as connection:
        return [Counted(**row) for row in (await connection.execute(COUNTED)).mappings()]


class AboveBudgets:
    """Asks about what waits. Every call may be repeated: it finds what it did before."""

    def __init__(self, engine: AsyncEngine, as_asked: AsAsked) -> None:
        self._engine = engine
        self._as_asked = as_asked

    async def ask(self, ask: AskAbove, after_reset: str) -> AboveAsked:
        """The open question of the card, or one about all that waits now."""
        async with transaction(self._engine) as connection:
            await connection.execute(LOCK, {"card": ask.card})
            rows = (await connection.execute(WAITING, {"card": ask.card})).all()
            asked = [row for row in rows if row.state == "waiting"]
            if asked:
                found = self._question(ask, asked, after_reset)
                if found.digest == asked[0].digest:
                    return found.as_stored(asked[0].card, asked[0].deadline)
                await _void(connection, ask.context, {row.question for row in asked})
            return await self._new(connection, ask, rows[:MOST], after_reset)

    async def _new(
        self, connection: AsyncConnection, ask: AskAbove, rows: Sequence[Any], after_reset: str
    ) -> AboveAsked:
        if not rows or len(rows) > ask.waiting:
            return AboveAsked(waiting=len(rows))
        made = self._question(ask, rows, after_reset)
        card = budget_card_of(ask.context, made.request, made.waiting, made.digest)
        await connection.execute(ASK, made.row(card))
        keys = [row.key for row in rows]
        await connection.execute(LISTED_ON, {"question": made.approval, "card": ask.card, "keys": keys})
        await record(connection, [made.event(ask.card)])
        return made.as_stored(card, made.request.deadline)

    def _question(self, ask: AskAbove, rows: Sequence[Any], after_reset: str) -> _Question:
        waits = tuple(
            Waiting(self._as_asked(Entry.model_validate(row.entry)), row.run, Reached.model_validate(row.budget))
            for row in rows
        )
        reached = waits[-1].reached
        which = hashlib.sha256("\x1f".join(f"{row.key} {row.since.isoformat()}" for row in rows).encode()).hexdigest()
        request = ApprovalRequest(
            step=STEP, path=(STEP, which), ask=f"more than the budget lets through: {ask.card}", calls=(),
            group=reached.group, count=reached.count, deadline=ask.now + timedelta(seconds=reached.within),
            otherwise=reached.otherwise,
        )  # fmt: skip
        digest = digest_shown(ask.context, request.path, [one.request for one in waits], after_reset)
        return _Question(ask.context, request, waits, digest)


@dataclass(frozen=True)
class _Question:
    """A question about what waits, before it is recorded."""

    context: RunContext
    request: ApprovalRequest
    waiting: tuple[Waiting, ...]
    digest: str

    @property
    def approval(self) -> str:
        return approval_id(self.digest)

    @property
    def requests(self) -> list[dict[str, Any]]:
        return [one.request.model_dump(mode="json") for one in self.waiting]

    def as_stored(self, card: str, deadline: datetime | None) -> AboveAsked:
        request = self.request.model_copy(update={"deadline": deadline})
        asked = Asked(approval=self.approval, digest=self.digest, card=card, deadline=deadline)
        return AboveAsked(waiting=len(self.waiting), request=request, asked=asked)

    def row(self, card: str) -> dict[str, Any]:
        context = self.context
        return {
            "id": self.approval, "run": context.run, "playbook": context.playbook, "workflow_id": context.workflow_id,
            "first_run_id": context.first_run_id, "step": STEP, "digest": self.digest,
            "request": to_json(self.requests), "card": storable(card), "deadline": self.request.deadline,
            "path": list(self.request.path), "asked_in": None, "asked_after": None, "shadowed": to_json([]),
            "demanded": None,
        }  # fmt: skip

    def event(self, card: str) -> Event:
        body = {
            "approval": self.approval, "step": STEP, "ask": self.request.ask, "digest": self.digest, "card": card,
            "requests": self.requests, "runs": sorted({one.run for one in self.waiting}), "kind": "budget",
            "deadline": str(self.request.deadline), "group": self.request.group, "otherwise": self.request.otherwise,
        }  # fmt: skip
        return Event(type="approval.asked", run=self.context.run, body=body)


async def _void(connection: AsyncConnection, context: RunContext, questions: set[str]) -> None:
    """Nobody listens to these any more: the execution that asked was ended, or reset."""
    for approval in sorted(questions):
        if (await connection.execute(VOID, {"id": approval})).first() is not None:
            body = {"step": STEP, "approval": approval, "status": "void", "why": "asked by an execution that is gone"}
            await record(connection, [Event(type="approval.decided", run=context.run, body=body)])
