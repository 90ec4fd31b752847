"""Maintenance: what would be sent to an integration that is worked on waits until the window ends, the worst first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.pace import NotYet
from orchestrator.actions.sending import Shipment
from orchestrator.audit.database import single_statement
from orchestrator.audit.events import to_json
from orchestrator.contract import Severity
from orchestrator.errors import Unavailable
from orchestrator.language.reference import ReferenceData
from orchestrator.policy.in_force import PolicyInForce
from orchestrator.policy.maintenance import Inside
from orchestrator.policy.policy import DEFAULT, Policy

MOMENT = text("SELECT tocsin.moment_of(:run)")
QUEUE = text("SELECT tocsin.queue(CAST(:waits AS jsonb))")
LEAVE = text("SELECT tocsin.leave_queue(:key, :name, :rank, :anyhow)")
WAITING = text("""
SELECT integration, run, step, capability, target, rank, since, until, why FROM tocsin.queued
WHERE looked_at > clock_timestamp() - interval '2 minutes' ORDER BY integration, rank DESC, since, key
""")
APART = 0.2
"""seconds between the looks of those who wait, when a window ends: so each finds that the one before it has gone"""
SOON = 1.0
"""seconds until whoever has others before him looks again"""


class Waiting(BaseModel):
    """An action that waits in a window."""

    model_config = ConfigDict(frozen=True)

    integration: str
    run: str
    step: str
    capability: str
    target: str
    rank: int
    since: datetime
    until: datetime
    why: str


class Maintenance:
    """Asked before anything is recorded of an action. Raises `Unavailable` where nobody can say."""

    def __init__(self, engine: AsyncEngine, policy: PolicyInForce, reference: Callable[[], ReferenceData]) -> None:
        self._engine = engine
        self._policy = policy
        self._reference = reference

    async def concerns(self, shipment: Shipment) -> bool:
        """Whether any window is of its integration."""
        windows = (await self._now(shipment)).model.maintenance
        return any(shipment.to.name in one.integrations for one in windows)

    async def check(self, shipment: Shipment) -> None:
        """Raise `NotYet` where it has to wait."""
        policy = await self._now(shipment)
        told = await self._said(MOMENT, {"run": shipment.run})
        severity = Severity.parse(told["severity"] or "informational")
        moment = datetime.fromisoformat(told["now"])
        inside = policy.window(
            shipment.to.name, moment, self._reference().calendars.get, mutates=shipment.effect.mutates,
            critical=severity is Severity.CRITICAL,
        )  # fmt: skip
        if inside is not None:
            await self._wait(shipment, inside, severity.rank, moment)
        elif not await self._leave(shipment, severity.rank, anyhow=False):
            why = f"waits: others that waited for the maintenance of {shipment.to.name} go first"
            raise NotYet(why, retry_after=SOON)

    async def _wait(self, shipment: Shipment, inside: Inside, rank: int, moment: datetime) -> None:
        """Wait in the window; after its time at most it goes all the same."""
        why = f"waits: {inside.line}, until {inside.until:%Y-%m-%d %H:%M:%SZ}"
        request = shipment.request
        waits = {
            "key": shipment.key, "integration": shipment.to.name, "run": shipment.run, "step": request.step,
            "capability": request.capability, "target": request.target, "rank": rank, "until": inside.until,
            "why": why, "window": f"{inside.line.place} {inside.until.isoformat()}",
        }  # fmt: skip
        said = await self._said(QUEUE, {"waits": to_json(waits)})
        left = inside.at_most.total_seconds() - float(said["waited"])
        if left <= 0:
            await self._leave(shipment, rank, anyhow=True)
            return
        again = min((inside.until - moment).total_seconds(), left) + APART * said["ahead"]
        raise NotYet(why, retry_after=max(again, APART))

    async def _leave(self, shipment: Shipment, rank: int, *, anyhow: bool) -> bool:
        values = {"key": shipment.key, "name": shipment.to.name, "rank": rank, "anyhow": anyhow}
        return bool(await self._said(LEAVE, values))

    async def _now(self, shipment: Shipment) -> Policy:
        """The policy; what only reads goes on where nobody can say which one is in force."""
        try:
            return await self._policy.now()
        except Unavailable:
            if shipment.effect.mutates:
                raise
            return DEFAULT

    async def _said(self, statement: Any, values: dict[str, Any]) -> Any:
        async with single_statement(self._engine) as connection:
            return (await connection.execute(statement, values)).scalar_one()


async def waiting(engine: AsyncEngine) -> list[Waiting]:
    """What waits in windows now, in the order in which it will go."""
    async with single_statement(engine) as connection:
        return [Waiting.model_validate(dict(row)) for row in (await connection.execute(WAITING)).mappings()]
