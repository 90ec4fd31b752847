"""What was recorded and not sent: what would have been done, and how often people agreed with it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.ledger import UNDO
from orchestrator.audit.database import single_statement, storable, transaction
from orchestrator.audit.events import Event, record
from orchestrator.errors import TocsinError
from orchestrator.policy.operators import Operator

MOST_TARGETS = 10
"""targets that a row names"""
# what would have been taken back is no decision of its own
ACTIONS = text("""
SELECT a.key, a.run, a.step, a.playbook, a.capability, a.integration, a.target, a.intended_at, a.mode_why,
    (SELECT array_agg(DISTINCT agrees) FROM tocsin.shadow_opinion o
        WHERE o.run = a.run AND o.step = a.step) AS opinions,
    (SELECT decision FROM tocsin.approval p WHERE p.id = a.approval) AS decision
FROM tocsin.action a
WHERE a.mode = 'shadow' AND a.effect <> 'read' AND NOT :undo = ANY(a.path)
    AND a.intended_at >= clock_timestamp() - make_interval(secs => :since)
ORDER BY a.intended_at, a.key
""")
# what people denied never became an action; that it would not have been sent stands with the question
DENIED = text("""
SELECT playbook, request, shadowed, decision FROM tocsin.approval
WHERE state = 'denied' AND shadowed IS NOT NULL AND asked_at >= clock_timestamp() - make_interval(secs => :since)
""")
REFUSED = text("""
SELECT r.playbook, e.body->>'capability' AS capability, count(*) AS count
FROM tocsin.run r JOIN tocsin.audit_event e ON e.run = r.run AND e.type = 'action.refused'
WHERE r.mode = 'shadow' AND r.started_at >= clock_timestamp() - make_interval(secs => :since)
GROUP BY 1, 2
""")
STEPS = text("""
SELECT DISTINCT a.run, a.step FROM tocsin.action a JOIN tocsin.run r USING (run)
WHERE (a.run = :name OR r.workflow_id = :name) AND a.mode = 'shadow' AND a.effect <> 'read' AND NOT :undo = ANY(a.path)
ORDER BY 1, 2
""")
SAY = text("""
INSERT INTO tocsin.shadow_opinion (run, step, by, trust, agrees, why) VALUES (:run, :step, :by, :trust, :agrees, :why)
ON CONFLICT (run, step, by) DO UPDATE SET trust = excluded.trust, agrees = excluded.agrees, why = excluded.why,
    said_at = clock_timestamp()
""")
Said = Literal["agreed", "disagreed", "nothing"]


class Row(BaseModel):
    """What one playbook would have done with one capability.

    `refused` is what a rail would have kept from being sent anyhow. `agreed` and `disagreed` count actions that people
    spoke of, `denied` those that they denied when they were asked; of the others nobody knows.
    """

    model_config = ConfigDict(frozen=True)

    playbook: str
    capability: str
    actions: int = 0
    runs: int = 0
    targets: int = 0
    most: dict[str, int] = {}
    refused: int = 0
    agreed: int = 0
    disagreed: int = 0
    denied: int = 0
    unknown: int = 0
    first: datetime | None = None
    last: datetime | None = None
    why: str = ""

    @property
    def agreement(self) -> float | None:
        """The share of those that people spoke of with which they agreed; none where they spoke of none."""
        spoken = self.agreed + self.disagreed + self.denied
        return self.agreed / spoken if spoken else None


async def report(engine: AsyncEngine, since: float) -> list[Row]:
    """What the last so many seconds would have brought, by playbook and capability."""
    values = {"since": since, "undo": UNDO}
    async with single_statement(engine) as connection:
        actions = [dict(row) for row in (await connection.execute(ACTIONS, values)).mappings()]
        denied = [dict(row) for row in (await connection.execute(DENIED, {"since": since})).mappings()]
        refused = [dict(row) for row in (await connection.execute(REFUSED, {"since": since})).mappings()]
    return rows_of(actions, denied, refused)


def rows_of(
    actions: Sequence[dict[str, Any]], denied: Sequence[dict[str, Any]], refused: Sequence[dict[str, Any]]
) -> list[Row]:
    """The rows, the most frequent first."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for one in actions:
        found[one["playbook"], one["capability"]].append(one)
    said_no = Counter(_denied(denied))
    kept = {(one["playbook"], one["capability"]): one["count"] for one in refused}
    names = dict.fromkeys([*found, *said_no, *kept])
    rows = [_row(*name, found.get(name, []), said_no[name], kept.get(name, 0)) for name in names]
    return sorted(rows, key=lambda one: (-one.actions, one.playbook, one.capability))


def _row(playbook: str, capability: str, actions: Sequence[dict[str, Any]], denied: int, refused: int) -> Row:
    said = Counter(said_of(one) for one in actions)
    targets = Counter(one["target"] for one in actions)
    return Row(
        playbook=playbook, capability=capability, actions=len(actions), runs=len({one["run"] for one in actions}),
        targets=len(targets), most=dict(targets.most_common(MOST_TARGETS)), refused=refused,
        agreed=said["agreed"], disagreed=said["disagreed"], denied=denied, unknown=said["nothing"],
        first=actions[0]["intended_at"] if actions else None, last=actions[-1]["intended_at"] if actions else None,
        why=(actions[-1]["mode_why"] or "") if actions else "",
    )  # fmt: skip


def said_of(action: dict[str, Any]) -> Said:
    """What people said of one action: one who disagrees outweighs all. What nobody decided is no agreement."""
    opinions = action["opinions"] or []
    if False in opinions:
        return "disagreed"
    decision = action["decision"] or {}
    by_people = decision.get("by") is not None and decision.get("status") == "succeeded"
    return "agreed" if opinions or by_people else "nothing"


def _denied(questions: Iterable[dict[str, Any]]) -> Iterable[tuple[str, str]]:
    """The playbook and capability of each request that people denied and that would not have been sent."""
    for one in questions:
        if (one["decision"] or {}).get("by") is None:
            continue
        for request, why in zip(one["request"], one["shadowed"], strict=False):
            if why:
                yield one["playbook"], request["capability"]


async def say(engine: AsyncEngine, who: Operator, run: str, step: str, *, agrees: bool, why: str) -> list[str]:
    """Record whether what a run would have done is right; the steps that this was said of.

    Raises `TocsinError` where nothing of the kind was in shadow.
    """
    async with transaction(engine) as connection:
        found = list((await connection.execute(STEPS, {"name": storable(run), "undo": UNDO})).all())
        chosen = [one for one in found if step in ("", one.step)]
        if not chosen:
            raise TocsinError(_nothing(run, step, [one.step for one in found]))
        said = {"by": who.name, "trust": who.trust, "agrees": agrees, "why": storable(why)}
        for one in chosen:
            await connection.execute(SAY, {"run": one.run, "step": one.step, **said})
            await record(connection, [Event(type="shadow.judged", run=one.run, body={"step": one.step, **said})])
    return [one.step for one in chosen]


def _nothing(run: str, step: str, there: Sequence[str]) -> str:
    if not there:
        return f"{run} has nothing in shadow; see `tocsin shadow report`"
    return f"{run} has no step {step} in shadow; in shadow: {', '.join(there)}"
