"""Pace: an integration that has a rate in the policy is sent no more than that, by all workers together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.ledger import UNDO
from orchestrator.actions.sending import Shipment
from orchestrator.audit.database import single_statement
from orchestrator.errors import FailureKind, RateLimited, Unavailable
from orchestrator.policy.in_force import PolicyInForce
from orchestrator.policy.policy import DEFAULT, Policy

TAKE = text("SELECT tocsin.keep_pace(:name, :run, :undoing, :units, :apart)")
PATIENCE = 10.0
"""seconds that an action waits where it is; longer than that its run waits, on a timer, for all to see"""
SHORTEST = 0.5
"""seconds between two questions at least: many may wait"""


class NotYet(RateLimited):
    """Many are ahead of this action: nothing was recorded, and the run asks again."""

    kind = FailureKind.RATE_LIMITED


class Pace:
    """Waits until it is an action's turn, before anything is recorded of it: its own times have not begun to run."""

    def __init__(
        self, engine: AsyncEngine, policy: PolicyInForce, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._engine = engine
        self._policy = policy
        self._sleep = sleep

    async def rated(self, shipment: Shipment) -> bool:
        """Whether its integration has a rate."""
        return shipment.to.name in (await self._now(shipment)).model.rates

    async def wait(self, shipment: Shipment, units: int) -> None:
        """Return when it is its turn; raises `NotYet` where that takes long. `units` is how many calls it will be."""
        waited = 0.0
        while True:
            rate = (await self._now(shipment)).rate(shipment.to.name)
            if rate is None:
                return
            granted, seconds = await self._take(shipment, units, rate[0].interval)
            if granted:
                await self._sleep(seconds)
                return
            if waited >= PATIENCE:
                raise NotYet(f"waits: {shipment.to.name} is sent no more than its rate, {rate[1]}", retry_after=seconds)
            pause = min(max(seconds, SHORTEST), max(PATIENCE - waited, SHORTEST))
            await self._sleep(pause)
            waited += pause

    async def _take(self, shipment: Shipment, units: int, apart: float) -> tuple[bool, float]:
        undoing = UNDO in shipment.request.path
        values = {
            "name": shipment.to.name, "run": shipment.run, "undoing": undoing, "units": units, "apart": apart,
        }  # fmt: skip
        async with single_statement(self._engine) as connection:
            said = (await connection.execute(TAKE, values)).scalar_one()
        return said["granted"], max(0.0, float(said["wait"]))

    async def _now(self, shipment: Shipment) -> Policy:
        """The policy; what only reads goes on where nobody can say which one is in force."""
        try:
            return await self._policy.now()
        except Unavailable:
            if shipment.effect.mutates:
                raise
            return DEFAULT
