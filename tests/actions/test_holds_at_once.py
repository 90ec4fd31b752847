"""Holds in any order and at once: whatever runs do to one address, it is blocked as long as somebody holds it."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.acting import Acting
from orchestrator.actions.catalog import Catalog
from orchestrator.actions.ledger import PostgresLedger
from orchestrator.actions.reaper import Reaper
from orchestrator.language.host import RunContext, StepStatus, UndoCall
from tests.actions.bench_target import Target, acting, block, context

STORIES, STEPS, RUNS = 40, 8, 5
OVER = text(
    "UPDATE tocsin.action SET until = clock_timestamp() - interval '1 s' WHERE run = :run AND shared IS NOT NULL"
)


@dataclass
class Story:
    """What runs do to one address, and what has to be true of it meanwhile."""

    number: int
    acting: Acting
    reaper: Reaper
    engine: AsyncEngine
    target: Target
    chance: random.Random
    holding: set[int] = field(default_factory=set)
    asked: int = 0

    @property
    def ip(self) -> str:
        return f"198.18.{self.number // 250}.{self.number % 250}"

    def context(self, run: int) -> RunContext:
        name = f"contain/a/{self.number}-{run}"
        return context(run=name, event=name, first_run_id=name)

    async def block(self) -> None:
        """A new run blocks the address."""
        self.asked += 1
        run = self.asked
        self.holding.add(run)
        outcome = await self.acting.gateway.act(self.context(run), block(self.ip), ())
        assert outcome.status is StepStatus.SUCCEEDED, outcome.error

    async def undo(self, run: int) -> None:
        """A run lets go."""
        outcome = await self.acting.undoing.undo(self.context(run), UndoCall(step="back", path=("back",)), ())
        assert outcome.error is None

    async def end(self, run: int) -> None:
        """A run's time is over; the reaper comes, or another round of it."""
        async with self.engine.begin() as connection:
            await connection.execute(OVER, {"run": self.context(run).run})
        await self.reaper.once()

    def step(self) -> list[Callable[[], Awaitable[None]]]:
        """One to three things that happen at once."""
        chosen: list[Callable[[], Awaitable[None]]] = []
        for _ in range(self.chance.choice((1, 1, 2, 3))):
            if self.holding and self.chance.random() < 0.55:
                run = self.chance.choice(sorted(self.holding))
                self.holding.discard(run)
                lets_go = self.chance.choice((self.undo, self.end))
                chosen.append(lambda run=run, lets_go=lets_go: lets_go(run))  # type: ignore[misc]
            elif self.asked < RUNS:
                chosen.append(self.block)
        return chosen

    async def quiet(self) -> None:
        """Until nothing is due and nothing is under way."""
        await self.reaper.settled()
        while await self.reaper.once():
            await self.reaper.settled()

    async def tell(self, *, before: bool) -> None:
        if before:
            self.target.blocked.add(self.ip)
        for _ in range(STEPS):
            held = set(self.holding)
            await asyncio.gather(*(one() for one in self.step()))
            await self.quiet()
            blocked = self.ip in self.target.blocked
            assert blocked == (before or bool(self.holding)), f"{held} -> {self.holding}, {self.target.asked}"


@pytest.mark.timeout(300)
async def test_it_is_blocked_as_long_as_somebody_holds_it_and_then_as_it_was(
    catalog: Catalog, ledger: PostgresLedger, engine: AsyncEngine, target: Target
) -> None:
    """Runs block, undo and expire one after another and at once; each story has a seed of its own."""
    made = acting(catalog, ledger, target)
    for number in range(STORIES):
        seed = secrets.randbits(32)
        chance = random.Random(seed)  # noqa: S311 - to be repeated
        target.asked.clear()
        story = Story(number, made, Reaper(made.ledger, made.undoing), engine, target, chance)
        try:
            await story.tell(before=chance.random() < 0.3)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
