"""What the actions of a test have done and can undo, as the ledger has it: effects, and the holds of steps on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    """A step's hold on an effect; `path` leads to the step from the outermost run. It ends by itself at `ends`.

    `steps` says of which step it is in each run that may end it: the run that did it, and those that called that run
    and waited for it. `names` are what a test may call the step, the most special first.
    """

    steps: Mapping[str, str]
    names: tuple[str, ...]
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
    """In the order in which they were done. `undone` are the holds whose effects were taken back, in that order."""

    holds: list[Hold] = field(default_factory=list)
    undone: list[Hold] = field(default_factory=list)
    _released: dict[tuple[str, str], list[Hold]] = field(default_factory=dict)

    def release(
        self, run: str, path: Path, steps: Sequence[str] | None, undo: Undo
    ) -> tuple[list[str], StepError | None]:
        """End the holds of these steps of a run, of all where none are named, in reverse.

        Those of the runs that a step has called and waited for are that step's.
        `path` leads to the step that wants it: in a loop the ids mean the steps of its own item. Gives the steps whose
        effects were undone, and the first failure.
        """
        own = [hold for hold in reversed(self.holds) if run in hold.steps and not of_another_item(path, hold.path)]
        undone, error = self._end([hold for hold in own if steps is None or hold.steps[run] in steps], undo)
        return [hold.path[-1] for hold in undone], error

    def expire(self, now: datetime) -> None:
        """End the holds whose time has come."""
        due = [hold for hold in self.holds if hold.ends is not None and hold.ends <= now]
        self._end(sorted(due, key=lambda hold: (hold.ends, hold.path)), lambda hold: None)

    def _end(self, holds: Sequence[Hold], undo: Undo) -> tuple[list[Hold], StepError | None]:
        undone: list[Hold] = []
        failures: list[StepError] = []
        for hold in holds:
            if any(other.effect == hold.effect for other in self.holds if other is not hold):
                self._let_go(hold)
            elif (error := undo(hold)) is not None:
                failures.append(error)
            else:
                self._let_go(hold)
                undone += self._released.pop(hold.effect)  # of all steps that held it until now
        self.undone += undone
        return undone, failures[0] if failures else None

    def _let_go(self, hold: Hold) -> None:
        self.holds.remove(hold)
        self._released.setdefault(hold.effect, []).append(hold)
