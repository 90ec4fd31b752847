"""What a run has behind it, so that it can go on elsewhere without doing, or even looking at, anything again.

A step that has ended leaves a record under its path; a container that has ended leaves one for all inside it, so that
what is carried stays small. Marks are values that were read once and must stay: a deadline, the items of a loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestrator.language.host import ActionCall, Decision, StepError, SubCall, Trace
from orchestrator.language.interpreter.ends import StepFailed
from orchestrator.language.interpreter.scope import Budget, Path, Scope, State, changed
from orchestrator.language.packing import Packer


@dataclass
class Failure:
    """Why a step, or the run, failed."""

    step: str
    error: StepError
    final: bool = False

    @classmethod
    def of(cls, failed: StepFailed | None) -> Failure | None:
        """As it is kept."""
        return cls(failed.step, failed.error, failed.final) if failed is not None else None

    def raised(self) -> StepFailed:
        """As it is raised."""
        return StepFailed(self.step, self.error, final=self.final)

    def pack(self) -> dict[str, Any]:
        """As JSON."""
        return {"step": self.step, "error": self.error.model_dump(mode="json"), "final": self.final}

    @classmethod
    def unpack(cls, packed: Mapping[str, Any]) -> Failure:
        """The same again."""
        return cls(packed["step"], StepError.model_validate(packed["error"]), packed["final"])


@dataclass
class Ended:
    """A step that has ended: its state, and what it brought to the steps after it.

    With `failure` its own work has failed, and what its `on_error` says of that may still be under way.
    """

    state: State
    steps: dict[str, State] = field(default_factory=dict)
    vars: dict[str, Any] = field(default_factory=dict)
    failure: Failure | None = None

    def recall(self, name: str, scope: Scope) -> None:
        """What the steps after it see."""
        scope.steps.update(self.steps)
        scope.vars.update(self.vars)
        scope.steps[name] = self.state

    def pack(self, packer: Packer) -> dict[str, Any]:
        """As JSON."""
        seen = {"state": self.state, "steps": self.steps, "vars": self.vars}
        return {**packer.pack(seen), "failure": self.failure.pack() if self.failure else None}

    @classmethod
    def unpack(cls, packed: Mapping[str, Any], packer: Packer) -> Ended:
        """The same again."""
        seen = {word: packer.unpack(packed[word]) for word in ("state", "steps", "vars")}
        return cls(**seen, failure=Failure.unpack(packed["failure"]) if packed["failure"] else None)


@dataclass
class Covered:
    """What an approval has decided of a step: the call as it was shown, or why it would not have run."""

    call: ActionCall | None
    reason: dict[str, Any]
    decision: Decision


@dataclass
class Progress:
    """All of it. `given` is up to which place `wait` steps gave joined alerts.

    `called` are the sub-playbooks that were begun and are waited for: they go on, wherever the run does.
    `run` is how the steps of the run failed, with all that they brought: after that only `on_failure` is under way.
    """

    ended: dict[Path, Ended] = field(default_factory=dict)
    marks: dict[Path, Any] = field(default_factory=dict)
    budgets: dict[Path, Budget] = field(default_factory=dict)
    covered: dict[Path, Covered] = field(default_factory=dict)
    called: dict[Path, SubCall] = field(default_factory=dict)
    asked_about: set[str] = field(default_factory=set)
    traces: list[Trace] = field(default_factory=list)
    case: str | None = None
    given: int = 0
    run: Ended | None = None

    def end(self, path: Path, before: Scope, after: Scope, failed: StepFailed | None = None) -> None:
        """A step has ended; what was known of steps inside it is known no longer."""
        self.forget(path)
        steps = changed(before.steps, after.steps)
        state = steps.pop(path[-1], None) or after.steps[path[-1]]
        self.ended[path] = Ended(state, steps, changed(before.vars, after.vars), Failure.of(failed))

    def fail(self, failed: StepFailed, scope: Scope) -> None:
        """The steps of the run have failed; nothing is known of any of them but what they brought."""
        self.forget(())
        self.run = Ended({}, dict(scope.steps), dict(scope.vars), Failure.of(failed))

    def forget(self, path: Path) -> None:
        """Drop what is known below a path."""
        for known in (self.ended, self.marks, self.budgets, self.covered):
            for one in [one for one in known if one[: len(path)] == path]:
                del known[one]

    def pack(self, packer: Packer, now: datetime) -> dict[str, Any]:
        """As JSON. The time that people have taken until now is given back to the budgets that wait for them."""
        return {
            "ended": [[list(path), one.pack(packer)] for path, one in self.ended.items()],
            "marks": [[list(path), packer.pack(one)] for path, one in self.marks.items()],
            "budgets": [[list(path), packer.pack(one.given_back(now))] for path, one in self.budgets.items()],
            "covered": [
                [
                    list(path), one.call and one.call.model_dump(mode="json"), one.reason,
                    one.decision.model_dump(mode="json"),
                ]
                for path, one in self.covered.items()
            ],
            "called": [one.model_dump(mode="json") for one in self.called.values()],
            "asked_about": sorted(self.asked_about),
            "traces": [one.model_dump(mode="json") for one in self.traces],
            "case": self.case,
            "given": self.given,
            "run": self.run.pack(packer) if self.run else None,
        }  # fmt: skip

    @classmethod
    def unpack(cls, packed: Mapping[str, Any], packer: Packer) -> Progress:
        """The same again."""
        return cls(
            ended={tuple(path): Ended.unpack(one, packer) for path, one in packed["ended"]},
            marks={tuple(path): packer.unpack(one) for path, one in packed["marks"]},
            budgets={tuple(path): Budget(packer.unpack(one)) for path, one in packed["budgets"]},
            covered={
                tuple(path): Covered(
                    ActionCall.model_validate(call) if call else None, reason, Decision.model_validate(decision)
                )
                for path, call, reason, decision in packed["covered"]
            },
            called={one.path: one for one in map(SubCall.model_validate, packed.get("called", ()))},
            asked_about=set(packed["asked_about"]),
            traces=[Trace.model_validate(one) for one in packed["traces"]],
            case=packed["case"],
            given=packed["given"],
            run=Ended.unpack(packed["run"], packer) if packed["run"] else None,
        )
