"""What is in force at the targets because of us: why, by whom, until when; and what people may do about it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.acting import Acting
from orchestrator.actions.ledger import Data
from orchestrator.actions.modes import PERSON
from orchestrator.actions.site import Site
from orchestrator.audit.database import single_statement
from orchestrator.audit.events import Event
from orchestrator.errors import TocsinError
from orchestrator.language.host import ActionCall, ActionOutcome, RunContext, StepError
from orchestrator.policy.operators import Operator

IN_FORCE = text("""
SELECT a.shared, a.capability, a.integration, a.target, a.parameters, a.key, a.run, a.playbook, a.step, a.state,
    a.intended_at AS since, a.until, a.released_at IS NOT NULL AS released, t.attempts, t.error
FROM tocsin.action a LEFT JOIN tocsin.taking_back t ON t.shared = a.shared
WHERE a.shared IS NOT NULL AND a.mode = 'live' AND a.state IN ('intended', 'done', 'unknown')
ORDER BY a.shared, a.intended_at, a.key
""")


class Holder(Data):
    """One hold on an effect; `until` is none where it lasts until somebody lets go."""

    key: str
    run: str
    playbook: str
    step: str
    since: datetime
    until: datetime | None
    released: bool


class Containment(Data):
    """An effect in force. `state`: held, ending (it is being taken back), stuck (that failed), or unknown.

    `until` is when the last hold ends; none where one of them has no end.
    """

    name: str
    capability: str
    integration: str
    target: str
    parameters: dict[str, Any]
    since: datetime
    until: datetime | None
    state: Literal["held", "ending", "stuck", "unknown"]
    error: str | None
    holders: tuple[Holder, ...]


async def in_force(engine: AsyncEngine) -> list[Containment]:
    """All that is in force, by integration and target; nothing but the database is needed."""
    async with single_statement(engine) as connection:
        rows = (await connection.execute(IN_FORCE)).mappings().all()
    names = dict.fromkeys(row["shared"] for row in rows)
    return [_containment([dict(row) for row in rows if row["shared"] == name]) for name in names]


def _containment(rows: Sequence[dict[str, Any]]) -> Containment:
    holders = tuple(Holder.model_validate(row) for row in rows)
    held = [one for one in holders if not one.released]
    ends = [one.until for one in held]
    return Containment(
        **{name: rows[0][name] for name in ("capability", "integration", "target", "parameters")},
        name=rows[0]["shared"],
        since=rows[0]["since"],
        until=None if None in ends else max((one for one in ends if one is not None), default=None),
        state=_state(rows, held=bool(held)),
        error=rows[0]["error"],
        holders=holders,
    )


def _state(rows: Sequence[dict[str, Any]], *, held: bool) -> Literal["held", "ending", "stuck", "unknown"]:
    if rows[0]["error"] is not None:
        return "stuck"
    if not held:
        return "ending"
    return "held" if any(row["state"] == "done" for row in rows) else "unknown"


def named(found: Sequence[Containment], name: str) -> list[Containment]:
    """Those of this name or target: several where several integrations contain one target."""
    chosen = [one for one in found if name in (one.name, one.target, one.target.partition(":")[2])]
    if not chosen:
        targets = ", ".join(dict.fromkeys(one.target for one in found)) or "nothing"
        raise TocsinError(f"nothing in force is named {name}; in force: {targets}")
    return chosen


class Hands:
    """What a person does to containments, recorded under his name."""

    def __init__(self, engine: AsyncEngine, site: Site, acting: Acting, *, who: Operator) -> None:
        self._engine = engine
        self._site = site
        self._acting = acting
        self._who = who
        self._signed = {"by": who.name, "trust": who.trust}

    async def hold(self, one: Containment, seconds: float | None, why: str) -> ActionOutcome:
        """Hold it for so many seconds, or until it is released; sent anew, for targets that end it by themselves."""
        to = self._site.named(one.integration)
        if to is None:
            raise TocsinError(f"the integration {one.integration} is not configured here any more")
        run = f"person/{uuid.uuid4().hex}"
        context = RunContext(
            run=run,
            playbook=PERSON,
            digest="",
            event=run,
            workflow_id="",
            first_run_id="",
            requester=self._who.name,
        )
        step = "keep" if seconds is None else "extend"
        call = ActionCall(
            step=step, path=(step,), action=one.capability, parameters=one.parameters, expires=seconds,
            keep=seconds is None,
        )  # fmt: skip
        await self._note(f"containment.{step}", run, one, why, seconds=seconds)
        return await self._acting.gateway.act_at(context, call, to)

    async def release(self, one: Containment, why: str, *, run: str | None = None) -> StepError | None:
        """Let go of it for everybody, or for one run; it is taken back where nobody holds it any more."""
        for holder in one.holders:
            if not holder.released and run in (None, holder.run):
                await self._acting.ledger.release(holder.key, {**self._signed, "why": why})
        return await self._acting.undoing.end(one.name, by=self._who.name)

    async def _note(self, kind: str, run: str, one: Containment, why: str, **more: object) -> None:
        body = {**self._signed, "why": why, "capability": one.capability,
                "integration": one.integration, **more}  # fmt: skip
        await self._acting.ledger.note([Event(type=kind, run=run, subject=one.target, body=body)])
