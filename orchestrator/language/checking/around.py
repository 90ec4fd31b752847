"""What is known where a step stands: earlier steps, variables, the items of loops, what surely has a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from orchestrator.alerts.alert import Alert, SeverityField
from orchestrator.errors import FailureKind
from orchestrator.language.expressions.guards import TRIED, learned
from orchestrator.language.expressions.kinds import ABSENT, as_type, union
from orchestrator.language.host import StepStatus

Paths = frozenset[tuple[str, ...]]


class StepFailure(BaseModel):
    """`steps.<id>.error` and `run.error`."""

    kind: FailureKind
    message: str
    retry_after: float | None = None


class Mode(StrEnum):
    """`run.mode`."""

    LIVE = "live"
    SHADOW = "shadow"


class RunNames(BaseModel):
    """`run.*`."""

    playbook: str
    id: str
    mode: Mode
    requester: str | None = None
    severity: SeverityField | None = None
    case: str | None = None
    failed_step: str | None = None
    error: StepFailure | None = None


class LoopNames(BaseModel):
    """`loop.*`: `index` counts from 1."""

    index: int
    first: bool
    last: bool
    length: int


@dataclass(frozen=True)
class Known:
    """A step that ran before: the type of its output (None where it has none), and whether that may be missing.

    One with a `default:` (`fixed`) always has an output, also where it was not reached. Of one that surely was tried
    (`tried`), the output is missing only where it failed.
    """

    output: Any
    maybe: bool = False
    fixed: bool = False
    tried: bool = False

    def perhaps(self) -> Known:
        """The same where the step may not have been reached."""
        return self if self.fixed else replace(self, maybe=True, tried=False)


@dataclass
class Around:
    """What surrounds a step. `present` are the paths that surely have a value, since a guard says so.

    `looping` holds the ids of the loops around, `maybe_vars` the variables that not every way here gives a value.
    """

    known: dict[str, Known] = field(default_factory=dict)
    vars: dict[str, Any] = field(default_factory=dict)
    maybe_vars: frozenset[str] = frozenset()
    own: Mapping[str, Any] = field(default_factory=dict)
    present: Paths = frozenset()

    def copy(self) -> Around:
        """The same to begin with."""
        return Around(dict(self.known), dict(self.vars), self.maybe_vars, self.own, self.present)

    def guarded(self, paths: Iterable[tuple[str, ...]]) -> Around:
        """The same where these paths have a value."""
        made = self.copy()
        made.learn(paths)
        return made

    @property
    def sure(self) -> Paths:
        """What surely has a value, and which steps surely were tried."""
        return self.present | {("steps", name, TRIED) for name, known in self.known.items() if known.tried}

    def learn(self, paths: Iterable[tuple[str, ...]]) -> None:
        """From here on these paths have a value; of a step that surely was tried and has not failed, its output."""
        self.present |= learned(self.sure, paths) - self.sure

    def with_own(self, **names: Any) -> Around:
        """The same with further names."""
        made = self.copy()
        made.own = {**self.own, **names}
        return made


def after_any(ways: Sequence[Around]) -> Around:
    """What is known where a run has come one of these ways, whichever: what not each of them brings may be absent."""
    made = Around()
    for name in dict.fromkeys(name for way in ways for name in way.known):
        known = [way.known[name] for way in ways if name in way.known]
        sure = len(known) == len(ways) and all(one.tried or not one.maybe for one in known)
        made.known[name] = known[0] if sure else known[0].perhaps()
    for name in dict.fromkeys(name for way in ways for name in way.vars):
        made.vars[name] = union(as_type(way.vars[name]) for way in ways if name in way.vars)
    made.maybe_vars = frozenset(
        name for name in made.vars if any(name in way.maybe_vars or name not in way.vars for way in ways)
    )
    made.present = frozenset.intersection(*(way.present for way in ways))
    return made


def scope_of(around: Around, start: Mapping[str, Any]) -> dict[str, Any]:
    """Names to their types, as expressions see them here; `start` are those that the whole playbook has."""
    step = {"status": StepStatus, "ok": bool, "failed": bool, "error": StepFailure | None}
    return {
        "joined": tuple[Alert, ...],
        "joined_count": int,
        "now": datetime,
        "run": RunNames,
        **start,
        "vars": {name: _optional(kind, name in around.maybe_vars) for name, kind in around.vars.items()},
        "steps": {name: {**step, **_output(known)} for name, known in around.known.items()},
        **around.own,
    }


def _output(known: Known) -> dict[str, Any]:
    return {} if known.output is None else {"output": _optional(known.output, known.maybe)}


def _optional(kind: Any, maybe: bool) -> Any:
    return as_type(kind) | ABSENT if maybe else kind
