"""What the runs of one test share: the test itself, and all that happened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from orchestrator.language.host import Trace
from orchestrator.language.interpreter import Capabilities, Observer
from orchestrator.language.paths import Path
from orchestrator.language.simulator.answers import Given, TestMistake
from orchestrator.language.simulator.effects import Effects
from orchestrator.language.tested import Test

T = TypeVar("T")
MOST_STEPS = 100_000
"""steps of one test, each turn of its loops counted"""


@dataclass(frozen=True)
class Happened:
    """A call or a question. `names` are what a test may call its step, the most special first.

    `lanes` are the branches and concurrent items that it stands in, each by its container, and `apart` the detached
    sub-playbooks: from these it is known what might as well have come in another order.
    """

    names: tuple[str, ...]
    action: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    lanes: Mapping[Path, str] = field(default_factory=dict)
    apart: Path = ()

    def is_beside(self, other: Happened) -> bool:
        """Whether the two might as well have come in the other order."""
        return self.apart != other.apart or any(
            other.lanes.get(place, branch) != branch for place, branch in self.lanes.items()
        )


@dataclass
class World:
    """All runs of a test act in it."""

    test: Test
    capabilities: Capabilities
    start: datetime
    site: Mapping[str, Any]
    observer: Observer | None = None
    calls: list[Happened] = field(default_factory=list)
    asked: list[Happened] = field(default_factory=list)
    effects: Effects = field(default_factory=Effects)
    traces: list[Trace] = field(default_factory=list)
    mistakes: list[TestMistake] = field(default_factory=list)
    detached: list[asyncio.Task[Any]] = field(default_factory=list)
    steps: int = 0

    def __post_init__(self) -> None:
        self.given = Given(self.test.given)

    def now(self) -> datetime:
        """The start, and the time that was skipped since."""
        return self.start + timedelta(seconds=asyncio.get_running_loop().time())

    def noted(self, work: Callable[[], T]) -> T:
        """The result of the work. A mistake in the test is kept: a branch beside it must not hide it."""
        try:
            return work()
        except TestMistake as mistake:
            self.mistakes.append(mistake)
            raise

    def count_step(self) -> None:
        """One step more; raises `TestMistake` where they are too many."""
        self.steps += 1
        if self.steps > MOST_STEPS:
            self.noted(_too_many)


def _too_many() -> None:
    raise TestMistake(f"more than {MOST_STEPS} steps; give the loops of the test fewer items or turns")
