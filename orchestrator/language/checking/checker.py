"""Walks over a playbook with what is known at each step, and says what is wrong; the rules stand beside it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from orchestrator.alerts.alert import Alert
from orchestrator.contract import Capability
from orchestrator.errors import ExpressionError, Finding, FindingLevel, Place
from orchestrator.language.checking.around import Around, Paths, scope_of
from orchestrator.language.checking.names import StepNames
from orchestrator.language.expressions import checked, compile_condition, compile_template, compile_value
from orchestrator.language.expressions.compiled import Expression, Template
from orchestrator.language.expressions.guards import brought
from orchestrator.language.expressions.kinds import (
    ABSENT,
    NONE,
    UNKNOWN,
    ListOf,
    Model,
    Type,
    as_type,
    constant,
    fields_of,
    list_of,
    union,
)
from orchestrator.language.expressions.nodes import path_of
from orchestrator.language.expressions.types import MAY_BE_ABSENT, TEXT_FOR_PEOPLE, Problem, guarded, type_of
from orchestrator.language.model import ForEachStep, PlaybookDocument, Step, StepKeys, every_step, located
from orchestrator.language.never_touch import NeverTouchList, own_lists
from orchestrator.language.reference import ReferenceData, names_in
from orchestrator.language.yaml_reader import Document, Path

S = TypeVar("S", bound=StepKeys)
Capabilities = Mapping[str, Capability[Any, Any]]
_PATH = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*")
KINDS = ("lists", "calendars")
"""what a site keeps for its playbooks"""


@dataclass(frozen=True)
class Library:
    """What a playbook may name of its site: other playbooks, lists and calendars.

    Without `site` nobody knows lists and calendars, and any name is taken. `broken` are playbooks that cannot be read.
    `samples` gives the names of recorded alerts, and is only asked where a test names one. `reads` are the lists and
    calendars that each of the playbooks reads.
    """

    playbooks: Mapping[str, PlaybookDocument]
    outputs: Mapping[str, Mapping[str, Type]]
    site: ReferenceData | None = None
    broken: frozenset[str] = frozenset()
    samples: Callable[[], Collection[str]] | None = None
    reads: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def never_touch(self) -> tuple[NeverTouchList, ...]:
        """What no literal target may be; without `site`, what holds everywhere."""
        return own_lists() if self.site is None else self.site.never_touch

    @cached_property
    def names(self) -> Mapping[str, Any]:
        """The types of `lists` and `calendars`; those that no run can read are for `trouble` to tell."""
        if self.site is None:
            return dict.fromkeys(KINDS, UNKNOWN)
        broken = {
            kind: [name.partition(".")[2] for name in self.site.broken if name.startswith(kind)] for kind in KINDS
        }
        types = self.site.types()
        return {kind: {**dict.fromkeys(broken[kind], UNKNOWN), **types[kind]} for kind in KINDS}

    def troubles(self, paths: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, str]]:
        """Which lists and calendars no run can read, and what to do; names that there are not are a matter of types."""
        for name in sorted(names_in(paths) if self.site is not None else ()):
            kind, _, short = name.partition(".")
            trouble = self.site.trouble(name) if self.site is not None else None
            if trouble is not None and (short == "*" or short in self.names[kind]):
                yield trouble


class Base:
    """What all rules share: saying, and looking at expressions."""

    def __init__(
        self, document: Document, model: PlaybookDocument, capabilities: Capabilities, library: Library
    ) -> None:
        self.document = document
        self.model = model
        self.capabilities = capabilities
        self.library = library
        self.found: list[Finding] = []
        self.exits: list[Around] = []
        self.reads: set[str] = set()
        self.lists: tuple[Step, ...] = (*model.steps, *model.on_failure)
        self.ids: dict[str, Step] = {step.id: step for step in every_step(self.lists) if step.id}
        self.covered: dict[str, str] = {
            name: step.id or "" for step in every_step(self.lists) for name in covers_of(step)
        }

    @cached_property
    def step_names(self) -> StepNames:
        """What tests may call the steps."""
        return StepNames(self.model, self.library.playbooks)

    def steps_of(self, kind: type[S]) -> Iterator[S]:
        """Every step of a kind, wherever it stands."""
        return (step for step in every_step(self.lists) if isinstance(step, kind))

    def located(self) -> Iterator[tuple[Path, Step]]:
        """Every step with its place in the document."""
        yield from located(self.model.steps, ("steps",))
        yield from located(self.model.on_failure, ("on_failure",))

    def say(
        self, path: Path, code: str, message: str, hint: str = "", level: FindingLevel = FindingLevel.ERROR
    ) -> None:
        """One finding."""
        self.found.append(Finding(self.document.place(path), code, message, hint, level))

    def warn(self, path: Path, code: str, message: str, hint: str = "") -> None:
        """One finding that keeps nothing from running."""
        self.say(path, code, message, hint, FindingLevel.WARNING)

    @contextmanager
    def telling_nothing_twice(self) -> Iterator[None]:
        """Inside, what was found already is not found again."""
        known = list(self.found)
        yield
        fresh = [one for one in self.found[len(known) :] if one not in known]
        self.found = [*known, *fresh]

    def start(self) -> dict[str, Any]:
        """The names that the whole playbook has."""
        names: dict[str, Any] = {"inputs": {name: _given(spec) for name, spec in self.model.inputs.items()}}
        trigger = self.model.trigger
        if trigger.match is not None:
            others = trigger.schedule or trigger.manual
            names["alert"] = where_present(Alert, self.where(trigger.match), ("alert",)) | ABSENT if others else Alert
        return names | dict(self.library.names)

    def scope(self, around: Around) -> dict[str, Any]:
        """Names to their types where a step stands."""
        return scope_of(around, self.start())

    def condition(self, path: Path, source: str, around: Around, *, only: Mapping[str, Any] | None = None) -> Around:
        """Check a bare condition; what is known where it holds."""
        compiled = self._compiled(path, source, compile_condition)
        if compiled is None:
            return around
        scope = dict(only) if only is not None else self.scope(around)
        self._look(path, compiled, scope, around, strict=False)
        return around.guarded(guarded(compiled))

    def value(self, path: Path, source: str, around: Around, wanted: Any = None) -> Type:
        """Check a bare expression; its type."""
        compiled = self._compiled(path, source, compile_value)
        if compiled is None:
            return UNKNOWN
        return self._look(path, compiled, self.scope(around), around, wanted)

    def template(self, path: Path, source: str, around: Around, wanted: Any = None) -> Type:
        """Check a string of the playbook; the type that it renders to."""
        try:
            compiled = compile_template(source)
        except ExpressionError as error:
            self.say(path, "expression", f"{_shown(path)}: {error.message}", error.hint)
            return UNKNOWN
        if compiled.is_literal:
            self.only_text(path, source, around)
            return as_type(str) if wanted is None else UNKNOWN
        return self._look(path, compiled, self.scope(around), around, wanted)

    def only_text(self, path: Path, source: Any, around: Around) -> None:
        """Warn of a text that is the path of a value, without the braces that would make it one."""
        if not isinstance(source, str):
            return
        root, dot, rest = source.partition(".")
        if dot and root in ("alert", "inputs", "steps", "vars", "run", *around.own) and _PATH.fullmatch(rest):
            self.warn(path, "value", f"{_shown(path)}: {source!r} is only text here", f'write "{{{{ {source} }}}}"')

    def text(self, path: Path, source: str, around: Around) -> None:
        """Check a string that people read: whatever its value is, it is written out."""
        self.template(path, source, around, TEXT_FOR_PEOPLE)

    def never_empty(self, path: Path, source: str, around: Around) -> None:
        """Warn of a list that may be empty where one with entries is needed, unless a condition has asked for it."""
        try:
            node = compile_template(source).single
        except ExpressionError:  # said already
            return
        named = path_of(node) if node is not None else None
        if named is None or "*" in named or named in around.present:
            return
        kind = type_of(compile_template(source), self.scope(around), around.sure)
        if any(isinstance(one, ListOf) for one in kind.kinds):
            shown = ".".join(named)
            self.warn(path, MAY_BE_ABSENT, f"{_shown(path)}: {shown} may be empty", f"guard it with `when: {shown}`")

    def tree(self, path: Path, source: Any, around: Around) -> Type:
        """Check nested parameters of no known type; the type of the whole."""
        if isinstance(source, str):
            return self.template(path, source, around)
        if isinstance(source, Mapping):
            return as_type({name: self.tree((*path, name), one, around) for name, one in source.items()})
        if isinstance(source, list | tuple):
            items = [self.tree((*path, index), one, around) for index, one in enumerate(source)]
            return list_of(union(items))
        return as_type(type(source)) if source is not None else NONE

    def key(self, path: Path, source: str, only: Mapping[str, Any]) -> None:
        """Check a bare expression over the alert alone; one without a value groups nothing, which is fine."""
        compiled = self._compiled(path, source, compile_value)
        kind = NONE if compiled is None else self._look(path, compiled, only, Around(), strict=False)
        if any(isinstance(one, Model) for one in kind.kinds):
            self.say(
                path, "type", f"{_shown(path)}: {source} is an object, and groups nothing", "name one of its fields"
            )

    def named(self, source: str, compile_: Callable[[str], Expression | Template]) -> frozenset[tuple[str, ...]]:
        """The paths that an expression names; none where it cannot be read, which was said where it was checked."""
        try:
            return compile_(source).paths
        except ExpressionError:
            return frozenset()

    def named_in(self, source: Any) -> Iterator[tuple[str, ...]]:
        """The same of nested parameters."""
        if isinstance(source, str):
            yield from self.named(source, compile_template)
        elif isinstance(source, Mapping | list | tuple):
            for inner in source.values() if isinstance(source, Mapping) else source:
                yield from self.named_in(inner)

    def where(self, source: str) -> frozenset[tuple[str, ...]]:
        """The paths that have a value where a condition holds."""
        try:
            return guarded(compile_condition(source))
        except ExpressionError:  # said already where the condition was checked
            return frozenset()

    def where_is(self, source: str, literal: str) -> frozenset[tuple[str, ...]]:
        """The paths that have a value where an expression is this literal: of a step's status, what that brings."""
        paths = self.named(source, compile_value)
        return frozenset(found for path in paths for found in brought(path, literal))

    def where_not(self, source: str) -> frozenset[tuple[str, ...]]:
        """The paths that have a value where a condition does not hold."""
        try:
            return guarded(compile_condition(source), holds=False)
        except ExpressionError:  # said already where the condition was checked
            return frozenset()

    def _compiled(self, path: Path, source: str, compile_: Any) -> Expression | None:
        try:
            compiled: Expression = compile_(source)
        except ExpressionError as error:
            line = self.document.line(self.document.place(path))
            hint = error.hint or ("what follows ` #` is a comment; quote the condition" if " #" in line else "")
            self.say(path, "expression", f"{_shown(path)}: {error.message}", hint)
            return None
        return compiled

    def _look(
        self,
        path: Path,
        compiled: Expression | Template,
        scope: Mapping[str, Any],
        around: Around,
        wanted: Any = None,
        *,
        strict: bool = True,
    ) -> Type:
        """Types and fields, and steps that are named: known, and run before. The type of the value."""
        self._references(path, compiled, around)
        problems, kind = checked(compiled, scope, wanted, present=around.sure if strict else None)
        for problem in problems:
            hint = _absence(problem, path, around) if problem.code == MAY_BE_ABSENT else problem.hint
            place = self._within(path, compiled.source, problem)
            message = f"{_shown(path)}: {problem.message}"
            self.found.append(Finding(place, problem.code, message, hint, _level(problem)))
        return kind

    def _within(self, path: Path, source: str, problem: Problem) -> Place:
        """The place of a problem in the file, where its expression stands there as it is."""
        place = self.document.place(path)
        line = self.document.line(place)
        start = line.find(source, place.column - 1)
        if start < 0 or problem.column is None or problem.line != 1:
            return place
        return Place(place.file, place.line, start + problem.column)

    def _references(self, path: Path, compiled: Expression | Template, around: Around) -> None:
        """Say of steps that are unknown or come later, and of lists that no run can read."""
        for name in sorted({named[1] for named in compiled.paths if named[0] == "steps" and len(named) > 1}):
            if name not in around.known:
                self.unknown_step(path, name)
        self.reads |= names_in(compiled.paths)
        for message, hint in self.library.troubles(compiled.paths):
            self.say(path, "site", f"{_shown(path)}: {message}", hint)

    def _left(self, path: Path, name: str) -> ForEachStep | None:
        """The loop that holds a step, where the path does not lead through it."""
        for place, loop in self.located():
            holds = isinstance(loop, ForEachStep) and any(one.id == name for one in every_step(loop.for_each.steps))
            if isinstance(loop, ForEachStep) and holds and path[: len(place) + 1] != (*place, "for_each"):
                return loop
        return None

    def unknown_step(self, path: Path, name: str) -> None:
        """A step that is not there, or not yet."""
        loop = self._left(path, name)
        if loop is not None and loop.id:
            message = f"step `{name}` is seen inside the loop `{loop.id}` alone"
            hint = f"read `steps.{loop.id}.output.collect`, or in its `on_error:` `steps.{loop.id}.error`"
            self.say(path, "used_too_early", message, hint)
        elif loop is not None:
            message = f"step `{name}` is seen inside its loop alone"
            self.say(path, "used_too_early", message, "give the loop an `id` and a `collect`, and read what that gives")
        elif name in self.ids:
            self.say(path, "used_too_early", f"step `{name}` has not run here yet", "move it up, or out of the branch")
        else:
            self.say(path, "unknown_step", f"no step has the id `{name}`", did_you_mean(name, self.ids))


def _absence(problem: Problem, path: Path, around: Around) -> str:
    """How to mend that something may be absent: of a step, by its `default:` or a guard, which outputs cannot have."""
    name = problem.path[1] if problem.path is not None and len(problem.path) > 1 else ""
    of_step = name if problem.path is not None and problem.path[0] == "steps" else ""
    if path[0] == "outputs":
        return f"a run may end without it; {f'give `{name}` a `default:`, or ' if of_step else ''}add `| default(...)`"
    part = problem.path[2:] if problem.path is not None else ()
    known = around.known.get(name)
    if of_step and part[:1] == ("error",):
        return f"guard this with `when: steps.{name}.failed`, or add `| default(...)`"
    if of_step and known is not None and (not known.maybe or ("steps", name, "output") in around.present):
        return "the step may have ended well without it: add `| default(...)`, or a `when:` that asks for it"
    if of_step:
        return f"give `{name}` a `default:`, or guard this with `when: steps.{name}.ok`"
    return problem.hint or "add `| default(...)`, or a `when:`"


def _level(problem: Problem) -> FindingLevel:
    """That a step may not have run is the author's to settle; what an alert may lack is worth a warning."""
    of_step = problem.code == MAY_BE_ABSENT and problem.path is not None and problem.path[0] in ("steps", "vars")
    return FindingLevel.ERROR if of_step else problem.level


def _given(spec: Any) -> Any:
    return as_type(spec.annotation) | ABSENT if spec.may_be_absent else spec.annotation


def _shown(path: Path) -> str:
    return f"`{next((part for part in reversed(path) if isinstance(part, str)), 'this')}`"


def where_present(kind: Any, present: Paths, here: tuple[str, ...]) -> Type:
    """The type of an object whose fields have a value at these paths, which lead to it through `here`."""
    found = as_type(kind)
    below = {path[len(here)] for path in present if path[: len(here)] == here and len(path) > len(here)}
    model = next((one.cls for one in found.kinds if isinstance(one, Model)), None)
    if model is None or not below:
        return found
    fields = dict(fields_of(model))
    return as_type(
        fields | {name: where_present(fields[name].there, present, (*here, name)) for name in below & set(fields)}
    )


def covers_of(step: Step) -> tuple[str, ...]:
    """The steps that an approval covers."""
    approval = getattr(step, "approval", None)
    return approval.covers if approval is not None else ()


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The nearest right word, or what there is."""
    listed = list(known)
    near = difflib.get_close_matches(word, listed, n=1)
    if near:
        return f"did you mean `{near[0]}`?"
    return f"known: {', '.join(sorted(listed)[:20])}" if listed else ""


def is_literal(value: Any) -> bool:
    """Whether nothing in it is rendered."""
    if isinstance(value, str):
        return "{{" not in value and "{%" not in value
    if isinstance(value, Mapping):
        return all(is_literal(one) for one in value.values())
    if isinstance(value, list | tuple):
        return all(is_literal(one) for one in value)
    return True


def type_of_literal(value: Any) -> Type:
    """The type of what stands in the file as it is."""
    if isinstance(value, Mapping):
        return as_type({str(name): type_of_literal(one) for name, one in value.items()})
    if isinstance(value, list | tuple):
        return list_of(union(type_of_literal(one) for one in value))
    return constant(value)


def may_be_skipped(step: Step) -> bool:
    """Whether the run may go on without the step having done its work."""
    return bool(step.when or step.unless) or step.on_error != "fail" or bool(getattr(step, "optional", False))
