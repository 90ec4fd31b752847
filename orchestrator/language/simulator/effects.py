"""What the actions of a test have done and can undo, as the ledger has it: effects, and the holds of steps on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestrator.contract import Capability
from orchestrator.language.host import StepError
from orchestrator.language.paths import Path, of_another_item

Undo = Callable[["Hold"], StepError | None]
"""Takes an effect back; the error where that fails"""


@dataclass(frozen=True, eq=False)
class Hold:
    """A step's hold on an effect; `path` leads to the step from the outermost run. It ends by itself at `ends`."""

    run: str
    path: Path
    capability: Capability[Any, Any]
    parameters: Any
    ends: datetime | None

    @property
    def effect(self) -> tuple[str, str]:
        """Two steps that did the same to one target share the effect."""
        return self.capability.name, self.capability.target_of(self.parameters)


@dataclass
class Effects:
    """In the order in which they were done. `undone` are the steps whose effects were taken back, in that order."""

    holds: list[Hold] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    _released: dict[tuple[str, str], list[Hold]] = field(default_factory=dict)

    def release(
        self, run: str, path: Path, steps: Sequence[str] | None, undo: Undo
    ) -> tuple[list[str], StepError | None]:
        """End the holds of these steps of a run, of all where none are named, in reverse.

        `path` leads to the step that wants it: in a loop the ids mean the steps of its own item. Gives the steps whose
        effects were undone, and the first failure.
        """
        own = [hold for hold in reversed(self.holds) if hold.run == run and not of_another_item(path, hold.path)]
        return self._end([hold for hold in own if _means(hold, steps)], undo)

    def expire(self, now: datetime) -> None:
        """End the holds whose time has come."""
        due = [hold for hold in self.holds if hold.ends is not None and hold.ends <= now]
        self._end(sorted(due, key=lambda hold: (hold.ends, hold.path)), lambda hold: None)

    def _end(self, holds: Sequence[Hold], undo: Undo) -> tuple[list[str], StepError | None]:
        undone: list[str] = []
        failures: list[StepError] = []
        for hold in holds:
            if any(other.effect == hold.effect for other in self.holds if other is not hold):
                self._let_go(hold)
            elif (error := undo(hold)) is not None:
                failures.append(error)
            else:
                self._let_go(hold)
                undone += self._taken_back(hold)
        self.undone += undone
        return undone, failures[0] if failures else None

    def _let_go(self, hold: Hold) -> None:
        self.holds.remove(hold)
        self._released.setdefault(hold.effect, []).append(hold)

    def _taken_back(self, hold: Hold) -> Iterator[str]:
        """All steps that held the effect until now."""
        for held in self._released.pop(hold.effect):
            yield held.path[-1]


def _means(hold: Hold, steps: Sequence[str] | None) -> bool:
    """Whether a hold is of one of these steps, or of a step inside one of them."""
    return steps is None or any(part in steps for part in hold.path)
