"""What a run has behind it, so that it can go on elsewhere without doing, or even looking at, anything again.

A step that has ended leaves a record under its path; a container that has ended leaves one for all inside it, so that
what is carried stays small. Marks are values that were read once and must stay: a deadline, the items of a loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.language.host import ActionCall, Decision
from orchestrator.language.interpreter.scope import Budget, Path, Scope, State, changed
from orchestrator.language.packing import Packer


@dataclass
class Ended:
    """A step that has ended: its state, and what it brought to the steps after it."""

    state: State
    steps: dict[str, State] = field(default_factory=dict)
    vars: dict[str, Any] = field(default_factory=dict)


@dataclass
class Covered:
    """What an approval has decided of a step: the call as it was shown, none where it would not have run."""

    call: ActionCall | None
    decision: Decision


@dataclass
class Progress:
    """All of it. `given` is how many joined alerts `wait` steps have been through."""

    ended: dict[Path, Ended] = field(default_factory=dict)
    marks: dict[Path, Any] = field(default_factory=dict)
    budgets: dict[Path, Budget] = field(default_factory=dict)
    covered: dict[Path, Covered] = field(default_factory=dict)
    asked_about: set[str] = field(default_factory=set)
    case: str | None = None
    given: int = 0

    def end(self, path: Path, state: State, before: Scope, after: Scope) -> None:
        """A step has ended; what was known of steps inside it is known no longer."""
        self.forget(path)
        self.ended[path] = Ended(state, changed(before.steps, after.steps), changed(before.vars, after.vars))

    def forget(self, path: Path) -> None:
        """Drop what is known below a path."""
        for known in (self.ended, self.marks, self.budgets, self.covered):
            for one in [one for one in known if one[: len(path)] == path]:
                del known[one]

    def pack(self, packer: Packer) -> dict[str, Any]:
        """As JSON."""
        return {
            "ended": [[list(path), packer.pack(vars(one))] for path, one in self.ended.items()],
            "marks": [[list(path), packer.pack(one)] for path, one in self.marks.items()],
            "budgets": [[list(path), packer.pack([one.ends, one.since])] for path, one in self.budgets.items()],
            "covered": [
                [list(path), one.call and one.call.model_dump(mode="json"), one.decision.model_dump(mode="json")]
                for path, one in self.covered.items()
            ],
            "asked_about": sorted(self.asked_about),
            "case": self.case,
            "given": self.given,
        }  # fmt: skip

    @classmethod
    def unpack(cls, packed: Mapping[str, Any], packer: Packer) -> Progress:
        """The same again."""
        return cls(
            ended={tuple(path): Ended(**packer.unpack(one)) for path, one in packed["ended"]},
            marks={tuple(path): packer.unpack(one) for path, one in packed["marks"]},
            budgets={tuple(path): Budget(*packer.unpack(one)) for path, one in packed["budgets"]},
            covered={
                tuple(path): Covered(ActionCall.model_validate(call) if call else None, Decision.model_validate(one))
                for path, call, one in packed["covered"]
            },
            asked_about=set(packed["asked_about"]),
            case=packed["case"],
            given=packed["given"],
        )
