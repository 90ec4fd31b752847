"""What the steps of a list see: the steps before them, `vars`, the items of the loops around them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestrator.language.host import StepError, StepStatus

State = dict[str, Any]
"""A step as expressions read it: status, ok, failed, and output and error where there are any."""
Path = tuple[str, ...]
"""The path of ids to a step; a loop adds the index with a hash of its item."""


@dataclass
class Budget:
    """The time that a container may take. What is spent on waiting for people or a kill switch is given back."""

    ends: datetime
    since: datetime | None = None
    waiting: int = 0
    resumed: asyncio.Event = field(default_factory=asyncio.Event)

    def pause(self, now: datetime) -> None:
        """Somebody is asked, or a kill switch is thrown."""
        self.waiting += 1
        self.since = self.since or now
        self.resumed.clear()

    def go_on(self, now: datetime) -> None:
        """Somebody has answered, or nobody did, or the switch is lifted."""
        self.waiting -= 1
        if self.waiting == 0 and self.since is not None:
            self.ends = self.given_back(now)
            self.since = None
            self.resumed.set()

    def given_back(self, now: datetime) -> datetime:
        """When it ends where nobody is waited for from now on."""
        return self.ends + (now - self.since) if self.since is not None else self.ends

    def left(self, now: datetime) -> float | None:
        """Seconds; None while people are waited for, also by a run that went on elsewhere meanwhile."""
        return None if self.since is not None else (self.ends - now).total_seconds()


class Place:
    """The place of one item among those of a loop that may be under way; `vacant` hears when it is left.

    What waits for people because a budget is reached leaves it to the next item, so that they are asked about all of
    them together, and takes one again before it goes on.
    """

    def __init__(self, free: asyncio.Semaphore, vacant: Callable[[], None]) -> None:
        self._free = free
        self._vacant = vacant
        self._held = False
        self._entering = asyncio.Lock()

    async def enter(self) -> None:
        """Wait for a place; several steps of one item have one together."""
        async with self._entering:
            if not self._held:
                await self._free.acquire()
                self._held = True

    def leave(self) -> None:
        """Somebody else may have it."""
        if self._held:
            self._held = False
            self._free.release()

    @asynccontextmanager
    async def left(self) -> AsyncIterator[None]:
        """Without it meanwhile; who is cut short takes none again."""
        self.leave()
        self._vacant()
        yield
        await self.enter()


@dataclass
class Scope:
    """Steps and vars change as the list goes on; `own` are the names of the items and loops around it.

    `place` is that of the item of the innermost loop.
    """

    steps: dict[str, State] = field(default_factory=dict)
    vars: dict[str, Any] = field(default_factory=dict)
    own: Mapping[str, Any] = field(default_factory=dict)
    budgets: tuple[Budget, ...] = ()
    now: datetime | None = None
    place: Place | None = None

    def branch(self) -> Scope:
        """The same to begin with; what happens there is not seen here."""
        return Scope(dict(self.steps), dict(self.vars), self.own, self.budgets, self.now, self.place)

    def with_own(self, **names: Any) -> Scope:
        """A branch with further names."""
        made = self.branch()
        made.own = {**self.own, **names}
        return made

    def naming(self, **names: Any) -> Scope:
        """This very scope with further names: what is done there is seen here."""
        return Scope(self.steps, self.vars, {**self.own, **names}, self.budgets, self.now, self.place)

    def within(self, budget: Budget) -> Scope:
        """This very scope for steps that have to end in time: they see and change the same."""
        return Scope(self.steps, self.vars, self.own, (*self.budgets, budget), self.now, self.place)

    def at(self, place: Place) -> Scope:
        """This very scope for the item that has this place."""
        return Scope(self.steps, self.vars, self.own, self.budgets, self.now, place)

    @contextmanager
    def uncounted(self, clock: Callable[[], datetime]) -> Iterator[None]:
        """What is waited for here takes none of the time of the containers around it."""
        for budget in self.budgets:
            budget.pause(clock())
        try:
            yield
        except asyncio.CancelledError:  # and no other way: what is thrown away with its worker has no clock any more
            self._go_on(clock())
            raise
        self._go_on(clock())

    def _go_on(self, now: datetime) -> None:
        for budget in self.budgets:
            budget.go_on(now)

    def take_over(self, branch: Scope, before: Scope) -> None:
        """What a branch has brought: its steps, and the vars that it gave values."""
        self.steps.update(changed(before.steps, branch.steps))
        self.vars.update(changed(before.vars, branch.vars))


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What is there now and was not, or was another one."""
    return {name: value for name, value in after.items() if before.get(name) is not value or name not in before}


def told(status: StepStatus, output: Any = None, error: StepError | None = None) -> State:
    """A step as later expressions see it."""
    state: State = {"status": str(status), "ok": status.ok, "failed": status is StepStatus.FAILED}
    if output is not None:
        state["output"] = output
    if error is not None:
        state["error"] = error.model_dump(mode="json")
    return state
