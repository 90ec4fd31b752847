"""Collaborators that misbehave: slow, or away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.ledger import Entry, PostgresLedger, Verdict
from orchestrator.audit.events import Event
from orchestrator.errors import Unavailable


class AwayAtFirst(PostgresLedger):
    """The ledger behind a Postgres that is away for so many requests."""

    def __init__(self, engine: AsyncEngine, *, times: int) -> None:
        super().__init__(engine)
        self.refused = 0
        self._times = times

    async def intend(self, entry: Entry, traces: Sequence[Event]) -> Verdict:
        """Be away, then serve."""
        if self.refused < self._times:
            self.refused += 1
            raise Unavailable("Postgres is away")
        return await super().intend(entry, traces)


class Slow(PostgresLedger):
    """The ledger of a machine under load. The sender allows five seconds between intent and sending."""

    def __init__(self, engine: AsyncEngine, *, seconds: float) -> None:
        super().__init__(engine)
        self._seconds = seconds

    async def intend(self, entry: Entry, traces: Sequence[Event]) -> Verdict:
        """Take a while."""
        await asyncio.sleep(self._seconds)
        return await super().intend(entry, traces)


class Held(PostgresLedger):
    """A ledger that holds one step up, once it has rendered what it wants to send."""

    def __init__(self, engine: AsyncEngine, *, step: str) -> None:
        super().__init__(engine)
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()
        self._step = step

    async def intend(self, entry: Entry, traces: Sequence[Event]) -> Verdict:
        """Wait at the step until the test lets it go."""
        if entry.step == self._step:
            self.reached.set()
            await self.go_on.wait()
        return await super().intend(entry, traces)
