"""The keeper: the standing duties, one keeper active at a time however many run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from orchestrator.audit.database import single_statement
from orchestrator.errors import Unavailable

log = structlog.get_logger()
TRY_LOCK = text("SELECT pg_try_advisory_lock(hashtext('tocsin.keeper'))")
STILL_THERE = text("SELECT 1")


class Duty(Protocol):
    """Something to be done again and again. `once` may be repeated at any point and says how much it did."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    async def once(self) -> int:
        """Do what there is to do now."""
        ...


class Keeper:
    """Does the duties in turn until it is stopped; waits while another keeper is active."""

    def __init__(self, engine: AsyncEngine, duties: Sequence[Duty], *, poll_seconds: float = 1.0) -> None:
        self._engine = engine
        self._duties = duties
        self._poll = poll_seconds
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Finish the round under way, then end."""
        self._stop.set()

    async def run(self) -> None:
        """Keep until stopped. What is unavailable is tried again; nothing is lost meanwhile."""
        while not self._stop.is_set():
            try:
                async with single_statement(self._engine) as connection:
                    if (await connection.execute(TRY_LOCK)).scalar_one():
                        try:
                            await self._keep(connection)
                        finally:
                            await connection.invalidate()  # the lock is the session's: it must not live on in the pool
            except Unavailable as error:
                log.warning("keeper.waiting", error=str(error))
            await self._pause()

    async def drain(self) -> None:
        """Do the duties until there is nothing left to do."""
        while await self._round():
            pass

    async def _keep(self, lock: AsyncConnection) -> None:
        """Do the duties while the lock's own connection lives: without it another keeper may be active."""
        while not self._stop.is_set():
            await lock.execute(STILL_THERE)
            if not await self._round():
                await self._pause()
        await self.drain()

    async def _round(self) -> int:
        return sum([await duty.once() for duty in self._duties])

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), self._poll)
        except TimeoutError:
            return
