"""A step from its conditions to what later steps know of it, whatever its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.errors import Finding
from orchestrator.language.checking import actions, containers, people, single, starts, tests
from orchestrator.language.checking.around import Around, Known, after_any
from orchestrator.language.checking.checker import Base, Capabilities, Library, may_be_skipped
from orchestrator.language.expressions.kinds import Type, as_type
from orchestrator.language.model import (
    ActionStep,
    ApprovalStep,
    AskStep,
    DoStep,
    ForEachStep,
    IfStep,
    ParallelStep,
    PlaybookDocument,
    PlaybookStep,
    RepeatStep,
    SetStep,
    Step,
    StopStep,
    SwitchStep,
    UndoStep,
    WaitStep,
    inside,
)
from orchestrator.language.paths import OWN_WORDS
from orchestrator.language.yaml_reader import Document, Path

Rule = Callable[["Checker", Any, Path, Around], Any]
"""Checks a step of one kind, adds to what is known inside it, and gives the type of its output."""


class Checker(Base):
    """Checks one document; `check` gives every finding."""

    def __init__(
        self, document: Document, model: PlaybookDocument, capabilities: Capabilities, library: Library
    ) -> None:
        super().__init__(document, model, capabilities, library)
        self.outputs: dict[str, Known] = {}

    def check(self) -> tuple[list[Finding], dict[str, Type]]:
        """Every finding in the order of the file, and the types of the playbook's outputs."""
        starts.check(self)
        self._unique_ids()
        around = Around(present=self._present_at_start())
        self.steps(self.model.steps, ("steps",), around)
        outputs = self._outputs(around)
        after = Around({name: known.perhaps() for name, known in around.known.items()}, dict(around.vars))
        after.maybe_vars = frozenset(around.vars)
        after.present = self._present_at_start() | {("run", "failed_step"), ("run", "error")}
        self.steps(self.model.on_failure, ("on_failure",), after)
        people.check_trust(self)
        self.reads |= {
            name for step in self.steps_of(PlaybookStep) for name in self.library.reads.get(step.playbook, ())
        }
        tests.check(self)
        return sorted(self.found, key=lambda one: (one.place.line, one.place.column)), outputs

    def _outputs(self, around: Around) -> dict[str, Type]:
        """The types of the outputs: the run may come to them by the end of its steps, or by a `stop`."""
        ends = [] if self.exits and self.stops(self.model.steps) else [around]
        after = after_any([*ends, *self.exits])
        # a step that only comes after a `stop` has a status all the same
        after.known = {name: known.perhaps() for name, known in around.known.items()} | after.known
        return {name: self.tree(("outputs", name), source, after) for name, source in self.model.outputs.items()}

    def _present_at_start(self) -> frozenset[tuple[str, ...]]:
        """What surely has a value in a run that only alerts start: what `match` asks for."""
        trigger = self.model.trigger
        if trigger.match is None or trigger.schedule or trigger.manual:
            return frozenset()
        return self.where(trigger.match) | {("run", "severity")}

    def stops(self, steps: tuple[Step, ...]) -> bool:
        """Whether a list of steps always ends the run."""
        return always_stops_all(steps)

    def _unique_ids(self) -> None:
        first: dict[str, Path] = {}
        for path, step in self.located():
            if step.id in OWN_WORDS:
                message = f"no step can have the id `{step.id}`: the ledger's keys say by this word where a step stands"
                self.say((*path, "id"), "reserved_id", message, f"choose another one, as `{step.id}_step`")
            if step.id in first:
                place = self.document.place((*first[step.id], "id"))
                message = f"the id `{step.id}` stands at line {place.line} already"
                self.say((*path, "id"), "duplicate_id", message, "ids share one name space, also those in branches")
            elif step.id:
                first[step.id] = path

    def steps(self, steps: tuple[Step, ...], path: Path, around: Around) -> None:
        """One after the other; what each brings is known to the next."""
        ended = False
        for index, step in enumerate(steps):
            here = (*path, index)
            if ended:
                self.warn(here, "never", "never reached: the steps before it always stop", "remove it, or move it up")
                ended = False
            self.step(step, here, around)
            around.learn(_present_after(self, step))
            ended = always_stops(step)

    def step(self, step: Step, path: Path, around: Around) -> None:
        """One step."""
        exits, before = len(self.exits), around.copy()
        inner = self._conditions(step, path, around)
        single.keys(self, step, path)
        output = RULES[type(step)](self, step, path, inner)
        skipped = may_be_skipped(step)
        self._bring(around, inner, perhaps=skipped)
        if not isinstance(step.on_error, str):
            handler = self._on_error(step, path, around, output)
            if not isinstance(step, ForEachStep):
                self._bring(around, handler, perhaps=True)
                self._in_either(step, around, inner, handler)
        if isinstance(step, ForEachStep):  # what an item brings is not seen outside, also where it ends the run
            self.exits[exits:] = [before] if self.exits[exits:] else []
        for inner_step in _seen_inside(step):
            if inner_step.id and inner_step.id not in around.known and inner_step.id in self.outputs:
                around.known[inner_step.id] = self.outputs[inner_step.id].perhaps()
        if step.id:
            known = self._known(step, path, output, skipped=_may_lack_output(step) or step.id in self.covered)
            around.known[step.id] = self.outputs[step.id] = known

    def _bring(self, around: Around, inner: Around, *, perhaps: bool) -> None:
        """What the steps inside have brought."""
        for name, known in inner.known.items():
            if name not in around.known:
                around.known[name] = known.perhaps() if perhaps else known
        for name, kind in inner.vars.items():
            if around.vars.get(name) is not kind:
                fresh = name not in around.vars
                around.vars[name] = kind if fresh or not perhaps else as_type(kind) | as_type(around.vars[name])
                if fresh and (perhaps or name in inner.maybe_vars):
                    around.maybe_vars |= {name}
        if not perhaps:
            around.maybe_vars = inner.maybe_vars

    def _in_either(self, step: Step, around: Around, done: Around, failed: Around) -> None:
        """What a step gives a value, and what follows its failure does too, surely has one, unless it is skipped."""
        if not step.when and not step.unless:
            for name in done.vars.keys() & failed.vars.keys() - done.maybe_vars - failed.maybe_vars:
                around.vars[name] = as_type(done.vars[name]) | as_type(failed.vars[name])
                around.maybe_vars -= {name}

    def _on_error(self, step: Step, path: Path, around: Around, output: Any) -> Around:
        """The steps that follow a failure: they see why it failed, and what it had brought until then."""
        handler = around.copy()
        if step.id:
            handler.known[step.id] = Known(output, maybe=True)
            handler = handler.guarded([("steps", step.id, "error")])
        if isinstance(step, ForEachStep):
            handler = containers.item_of(self, step, path, handler)
        assert not isinstance(step.on_error, str)  # noqa: S101 - asked by the caller
        self.steps(step.on_error, (*path, "on_error"), handler)
        return handler

    def _conditions(self, step: Step, path: Path, around: Around) -> Around:
        """Check `when` and `unless`; what they ask for surely has a value inside the step."""
        inner = around.copy()
        if step.when is not None:
            inner = self.condition((*path, "when"), step.when, inner)
        if step.unless is not None:
            self.condition((*path, "unless"), step.unless, inner)
            inner = inner.guarded(self.where_not(step.unless))
        return inner

    def _known(self, step: Step, path: Path, output: Any, *, skipped: bool) -> Known:
        """What later steps know of it."""
        default = None if isinstance(step, SwitchStep) else step.default
        if default is None:
            return Known(output, maybe=skipped, tried=_surely_tried(step) and step.id not in self.covered)
        if output is None:
            self.say((*path, "default"), "needless", "this step has no output that a `default:` could stand for")
            return Known(None)
        return Known(actions.with_default(self, (*path, "default"), output, default), fixed=True)


def _may_lack_output(step: Step) -> bool:
    """Whether the run may go on without an output of the step. A loop has one, whatever became of its items."""
    if isinstance(step, ForEachStep) and step.timeout is None:
        return bool(step.when or step.unless)
    return may_be_skipped(step)


def _surely_tried(step: Step) -> bool:
    """Whether the step, once it is reached, either has an output or failed."""
    tried = isinstance(step, ActionStep | PlaybookStep) and not getattr(step, "detach", False)
    return tried and not (step.when or step.unless or getattr(step, "optional", False))


def _seen_inside(step: Step) -> list[Step]:
    if isinstance(step, ForEachStep):
        return []
    return [one for _, steps in inside(step) for first in steps for one in (first, *_seen_inside(first))]


def _present_after(check: Checker, step: Step) -> frozenset[tuple[str, ...]]:
    """What surely has a value after a step, since the run would have stopped otherwise."""
    if isinstance(step, IfStep) and always_stops_all(step.then) and not step.when and not step.unless:
        return check.where_not(step.if_)
    if isinstance(step, StopStep) and step.when and not step.unless:
        return check.where_not(step.when)
    if isinstance(step, StopStep) and step.unless and not step.when:
        return check.where(step.unless)
    return frozenset()


def always_stops(step: Step) -> bool:
    """Whether nothing after the step is ever reached."""
    if may_be_skipped(step):
        return False
    match step:
        case StopStep():
            return True
        case DoStep():
            return always_stops_all(step.do)
        case IfStep():
            return always_stops_all(step.then) and bool(step.else_) and always_stops_all(step.else_)
        case _:
            return False


def always_stops_all(steps: tuple[Step, ...]) -> bool:
    """Whether a list of steps always stops."""
    return any(always_stops(step) for step in steps)


RULES: Mapping[type[Any], Rule] = {
    ActionStep: actions.action,
    ApprovalStep: people.approval,
    AskStep: people.ask,
    PlaybookStep: single.playbook,
    ParallelStep: containers.parallel,
    DoStep: containers.do,
    ForEachStep: containers.for_each,
    IfStep: containers.if_,
    SwitchStep: containers.switch,
    RepeatStep: containers.repeat,
    WaitStep: single.wait,
    SetStep: single.set_,
    UndoStep: single.undo,
    StopStep: single.stop,
}
