"""What can be known of a playbook before it runs, all at once: what passes cannot fail on a misspelling."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from orchestrator.alerts.alert import Alert
from orchestrator.contract import Capability, Effect
from orchestrator.errors import ExpressionError, Finding, FindingLevel
from orchestrator.language.expressions import check_types, compile_condition, compile_value
from orchestrator.language.expressions.compiled import Expression, Template, Tree, compile_template, compile_tree
from orchestrator.language.host import StepError
from orchestrator.language.model import ActionStep, ApprovalStep, DoStep, ParallelStep, PlaybookDocument, Step
from orchestrator.language.program import every_step
from orchestrator.language.yaml_reader import Document, Path

CODES = {
    "expression": "an expression cannot be read",
    "type": "a field does not exist, or a comparison can never hold",
    "unknown_action": "no capability has this name",
    "unknown_parameter": "the capability does not take this parameter",
    "missing_parameter": "the capability needs this parameter",
    "parameter": "a literal does not fit the parameter's type",
    "unknown_step": "no step has this id",
    "used_too_early": "the step is used before it runs",
    "may_be_absent": "the step may not have run, so its output may be absent",
    "duplicate_id": "two steps have one id",
    "no_end": "a reversible action says neither `for` nor `keep: true`",
    "needless_for": "`for` or `keep` on an action that has nothing to undo",
    "unattended": "an irreversible action that nobody approves",
    "covers": "an approval covers something that it cannot show",
    "untested": "a playbook with `match` needs a test that starts it and one that does not",
    "test": "a test names something that the playbook does not have",
}
"""Every finding of the checker by its code."""


class ApprovalOutput(BaseModel):
    """`steps.<id>.output` of an approval."""

    by: str | None = None
    at: datetime | None = None
    trust: str | None = None
    note: str = ""
    auto: bool = False


class RunNames(BaseModel):
    """`run.*`."""

    playbook: str
    id: str
    mode: str
    requester: str | None = None
    severity: str | None = None
    failed_step: str | None = None
    error: StepError | None = None


@dataclass
class Known:
    """What is known of a step that ran before: the type of its output, and whether it may not have run."""

    output: Any
    maybe: bool


@dataclass
class Around:
    """What surrounds a step: the steps before it, the guards that hold for it."""

    known: dict[str, Known] = field(default_factory=dict)
    guarded: frozenset[str] = frozenset()


class Checker:
    """Checks one document; `check` gives every finding."""

    def __init__(
        self, document: Document, model: PlaybookDocument, capabilities: Mapping[str, Capability[Any, Any]]
    ) -> None:
        self._document = document
        self._model = model
        self._capabilities = capabilities
        self._found: list[Finding] = []
        steps = [step for step in every_step((*model.steps, *model.on_failure)) if step.id]
        self._ids = {step.id: step for step in steps if step.id}
        self._covered: dict[str, str] = {
            covered: step.id or "" for step in every_step(model.steps) if isinstance(step, ApprovalStep)
            for covered in step.approval.covers
        }  # fmt: skip

    def check(self) -> list[Finding]:
        """Every finding, in the order of the file."""
        self._trigger()
        self._unique_ids()
        around = Around()
        self._steps(self._model.steps, ("steps",), around)
        after = Around({name: Known(known.output, maybe=True) for name, known in around.known.items()})
        for name, step in self._ids.items():
            after.known.setdefault(name, Known(self._output_of(step), maybe=True))
        self._steps(self._model.on_failure, ("on_failure",), after)
        self._tests()
        return sorted(self._found, key=lambda finding: (finding.place.line, finding.place.column))

    def _say(
        self, path: Path, code: str, message: str, hint: str = "", level: FindingLevel = FindingLevel.ERROR
    ) -> None:
        self._found.append(Finding(self._document.place(path), code, message, hint, level))

    def _trigger(self) -> None:
        scope = {"alert": Alert, "now": datetime}
        self._expression(("trigger", "match"), self._model.trigger.match, scope, condition=True)
        if self._model.trigger.key:
            self._expression(("trigger", "key"), self._model.trigger.key, scope, condition=False)

    def _unique_ids(self) -> None:
        first: dict[str, Path] = {}
        for path, step in located(self._model.steps, ("steps",)):
            if step.id in first:
                place = self._document.place((*first[step.id], "id"))
                self._say((*path, "id"), "duplicate_id", f"the id `{step.id}` stands at line {place.line} already")
            elif step.id:
                first[step.id] = path

    def _steps(self, steps: tuple[Step, ...], path: Path, around: Around) -> None:
        for index, step in enumerate(steps):
            self._step(step, (*path, index), around)
            if step.id:
                around.known[step.id] = Known(self._output_of(step), self._maybe(step))

    def _step(self, step: Step, path: Path, around: Around) -> None:
        inner = self._conditions(step, path, around)
        if isinstance(step, ActionStep):
            self._action(step, path, inner)
        elif isinstance(step, ApprovalStep):
            self._approval(step, path, inner)
        elif isinstance(step, ParallelStep):
            self._parallel(step, path, inner, around)
        elif isinstance(step, DoStep):
            self._steps(step.do, (*path, "do"), inner)
            self._merge(step, inner, around)
        if not isinstance(step.on_error, str):
            handler = Around(dict(around.known), inner.guarded)
            if step.id:
                handler.known[step.id] = Known(self._output_of(step), maybe=True)
            self._steps(step.on_error, (*path, "on_error"), handler)

    def _conditions(self, step: Step, path: Path, around: Around) -> Around:
        """Check `when` and `unless`; what they name counts as guarded inside the step."""
        guarded = set(around.guarded)
        for word, source in (("when", step.when), ("unless", step.unless)):
            if source is None:
                continue
            compiled = self._expression((*path, word), source, self._scope(around), condition=True)
            if compiled is not None:
                self._references((*path, word), compiled, around, strict=False)
                guarded |= {name for first, name, *_ in (p for p in compiled.paths if len(p) > 2) if first == "steps"}
        return Around(dict(around.known), frozenset(guarded))

    def _parallel(self, step: ParallelStep, path: Path, inner: Around, around: Around) -> None:
        """Branches do not see each other; afterwards all of them are seen."""
        gained: dict[str, Known] = {}
        for index, branch in enumerate(step.parallel):
            view = Around(dict(inner.known), inner.guarded)
            self._step(branch, (*path, "parallel", index), view)
            if branch.id:
                view.known[branch.id] = Known(self._output_of(branch), self._maybe(branch))
            gained |= {name: known for name, known in view.known.items() if name not in inner.known}
        self._merge(step, Around(gained), around)

    def _merge(self, step: Step, inner: Around, around: Around) -> None:
        skipped = bool(step.when or step.unless) or step.on_error != "fail"
        for name, known in inner.known.items():
            around.known.setdefault(name, Known(known.output, known.maybe or skipped))

    def _maybe(self, step: Step) -> bool:
        """Whether the step may have no output although the run went on."""
        skipped = bool(step.when or step.unless) or step.on_error != "fail" or step.id in self._covered
        return (skipped or bool(getattr(step, "optional", False))) and step.default is None

    def _output_of(self, step: Step) -> Any:
        if isinstance(step, ActionStep):
            capability = self._capabilities.get(step.action)
            return capability.gives if capability else Any
        return ApprovalOutput if isinstance(step, ApprovalStep) else {}

    def _scope(self, around: Around) -> dict[str, Any]:
        step = {"status": str, "ok": bool, "failed": bool, "error": StepError}
        return {
            "alert": Alert,
            "joined": Any,
            "joined_count": int,
            "vars": Any,
            "now": datetime,
            "run": RunNames,
            "steps": {name: {**step, "output": known.output} for name, known in around.known.items()},
        }

    def _expression(self, path: Path, source: str, scope: dict[str, Any], *, condition: bool) -> Expression | None:
        try:
            compiled = compile_condition(source) if condition else compile_value(source)
        except ExpressionError as error:
            line = self._document.line(self._document.place(path))
            hint = error.hint or ("what follows ` #` is a comment; quote the condition" if " #" in line else "")
            self._say(path, "expression", f"`{path[-1]}`: {error.message}", hint)
            return None
        self._typed(path, compiled, scope)
        return compiled

    def _typed(self, path: Path, compiled: Expression | Template, scope: dict[str, Any]) -> None:
        for problem in check_types(compiled, scope):
            self._say(path, "type", f"`{path[-1]}`: {problem.message}", problem.hint, problem.level)

    def _references(self, path: Path, compiled: Expression | Template, around: Around, *, strict: bool) -> None:
        """Steps that are named: known, run before, and surely there where a value is needed."""
        for named in sorted(compiled.paths):
            if named[0] != "steps" or len(named) < 2:
                continue
            name = named[1]
            if name not in around.known:
                self._unknown_step(path, name)
            elif strict and self._may_be_absent(named, compiled, around):
                self._say(
                    path, "may_be_absent", f"step `{name}` may not have run, so `{'.'.join(named)}` may be absent",
                    f"give `{name}` a `default:`, or guard this with `when: steps.{name}.ok`",
                )  # fmt: skip

    def _may_be_absent(self, named: tuple[str, ...], compiled: Expression | Template, around: Around) -> bool:
        """Whether this names the output of a step that may not have run, and nothing guards it."""
        name = named[1]
        if not around.known[name].maybe or named[2:3] != ("output",) or name in around.guarded:
            return False
        return "default(" not in compiled.source and "{% if" not in compiled.source

    def _unknown_step(self, path: Path, name: str) -> None:
        if name in self._ids:
            self._say(path, "used_too_early", f"step `{name}` has not run here yet", "move it up, or out of the branch")
        else:
            near = difflib.get_close_matches(name, self._ids, n=1)
            self._say(
                path, "unknown_step", f"no step has the id `{name}`", f"did you mean `{near[0]}`?" if near else ""
            )

    def _action(self, step: ActionStep, path: Path, around: Around) -> None:
        self._templates(compile_or_none(self, path, step.with_), (*path, "with"), around)
        capability = self._capabilities.get(step.action)
        if capability is None:
            near = difflib.get_close_matches(step.action, self._capabilities, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(self._capabilities)}"
            self._say((*path, "action"), "unknown_action", f"no action is named `{step.action}`", hint)
            return
        self._effect(step, path, capability)
        self._parameters(step, path, capability)
        if step.default is not None:
            self._fits((*path, "default"), step.default, capability.gives.model_fields)

    def _effect(self, step: ActionStep, path: Path, capability: Capability[Any, Any]) -> None:
        ends = step.for_ is not None or step.keep
        if capability.effect is Effect.REVERSIBLE and not ends:
            self._say(
                (*path, "action"), "no_end", f"`{step.action}` can be undone, and nothing says when",
                "add `for: 24h`, or `keep: true` to leave it",
            )  # fmt: skip
        if capability.effect is not Effect.REVERSIBLE and ends:
            self._say((*path, "for"), "needless_for", f"`{step.action}` leaves nothing that could be undone")
        if capability.effect is Effect.IRREVERSIBLE and step.id not in self._covered and not step.unattended:
            self._say(
                (*path, "action"), "unattended", f"`{step.action}` cannot be undone and nobody approves it",
                "cover it with an approval, or write `unattended: true`",
            )  # fmt: skip

    def _parameters(self, step: ActionStep, path: Path, capability: Capability[Any, Any]) -> None:
        fields = capability.takes.model_fields
        self._fits((*path, "with"), step.with_, fields)
        for name, info in fields.items():
            if info.is_required() and name not in step.with_:
                self._say(path, "missing_parameter", f"`{step.action}` needs `{name}`", "add it below `with:`")

    def _fits(self, path: Path, given: Mapping[str, Any], fields: Mapping[str, FieldInfo]) -> None:
        """Names are known, and literals are of the right type."""
        for name, value in given.items():
            if name not in fields:
                near = difflib.get_close_matches(name, fields, n=1)
                hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(fields)}"
                self._say((*path, name, "@key"), "unknown_parameter", f"no `{name}` here", hint)
            elif _is_literal(value):
                self._literal((*path, name), value, fields[name])

    def _literal(self, path: Path, value: Any, info: FieldInfo) -> None:
        try:
            TypeAdapter(_annotation(info)).validate_python(value)
        except ValidationError as error:
            self._say(path, "parameter", f"`{path[-1]}`: {error.errors()[0]['msg'].removeprefix('Value error, ')}")

    def _templates(self, tree: Tree | None, path: Path, around: Around) -> None:
        if tree is None:
            return
        scope = self._scope(around)
        for place, template in tree.templates:
            if not template.is_literal:
                self._typed((*path, *place), template, scope)
                self._references((*path, *place), template, around, strict=True)

    def _approval(self, step: ApprovalStep, path: Path, around: Around) -> None:
        here = (*path, "approval")
        question = self._template((*here, "ask"), step.approval.ask)
        if question is not None:
            self._typed((*here, "ask"), question, self._scope(around))
            self._references((*here, "ask"), question, around, strict=True)
        if step.approval.auto:
            compiled = self._expression((*here, "auto"), step.approval.auto, self._scope(around), condition=True)
            if compiled is not None:
                self._references((*here, "auto"), compiled, around, strict=False)
        for index, name in enumerate(step.approval.covers):
            self._covers((*here, "covers", index), name, step, around)

    def _template(self, path: Path, source: str) -> Template | None:
        try:
            return compile_template(source)
        except ExpressionError as error:
            self._say(path, "expression", f"`{path[-1]}`: {error.message}", error.hint)
            return None

    def _covers(self, path: Path, name: str, approval: ApprovalStep, around: Around) -> None:
        """What is covered is an action further down, and all that its request needs is known when it is asked."""
        step = self._ids.get(name)
        if step is None:
            self._unknown_step(path, name)
        elif not isinstance(step, ActionStep):
            self._say(path, "covers", f"`{name}` is no action; an approval covers what is sent")
        elif name in around.known:
            self._say(path, "covers", f"`{name}` runs before it is asked about", "move the approval up")
        else:
            needed = {one[1] for one in compile_tree(step.with_).paths if one[0] == "steps" and len(one) > 1}
            late = sorted(one for one in needed if one in self._ids and one not in around.known)
            for other in late:
                self._say(
                    path, "covers", f"`{name}` needs the output of `{other}`, which is not known when this is asked",
                    f"move the approval below `{other}`",
                )  # fmt: skip
            if (
                sum(
                    name in one.approval.covers
                    for one in every_step(self._model.steps)
                    if isinstance(one, ApprovalStep)
                )
                > 1
            ):
                self._say(path, "covers", f"`{name}` is covered by two approvals", "a step is covered once")

    def _tests(self) -> None:
        starts = [test.expect.starts for test in self._model.tests]
        if True not in starts or False not in starts:
            missing = "a test that starts it" if True not in starts else "a test that does not start it"
            self._say(("tests",), "untested", f"{missing} is missing", "add it below `tests:`")
        for index, test in enumerate(self._model.tests):
            for name in test.answers:
                if not isinstance(self._ids.get(name), ApprovalStep):
                    self._say(("tests", index, "answers", name), "test", f"no approval has the id `{name}`")
            called = [one if isinstance(one, str) else next(iter(one)) for one in test.expect.calls or ()]
            for name in (*called, *test.expect.not_called):
                if name not in self._capabilities:
                    near = difflib.get_close_matches(name, self._capabilities, n=1)
                    hint = f"did you mean `{near[0]}`?" if near else ""
                    self._say(("tests", index, "expect"), "test", f"no action is named `{name}`", hint)


def compile_or_none(checker: Checker, path: Path, given: dict[str, Any]) -> Tree | None:
    """The tree of a step's parameters; its expressions' mistakes become findings."""
    compiled: dict[str, Any] = {}
    for name, value in given.items():
        try:
            compile_tree(value)
            compiled[name] = value
        except ExpressionError as error:
            checker._say((*path, "with", name), "expression", f"`{name}`: {error.message}", error.hint)  # noqa: SLF001 - of this module
    return compile_tree(compiled)


def located(steps: tuple[Step, ...], path: Path) -> Iterator[tuple[Path, Step]]:
    """Every step with its place in the document."""
    for index, step in enumerate(steps):
        here = (*path, index)
        yield here, step
        if isinstance(step, ParallelStep):
            yield from located(step.parallel, (*here, "parallel"))
        if isinstance(step, DoStep):
            yield from located(step.do, (*here, "do"))
        if not isinstance(step.on_error, str):
            yield from located(step.on_error, (*here, "on_error"))


def _is_literal(value: Any) -> bool:
    """Whether nothing in it is rendered."""
    if isinstance(value, str):
        return "{{" not in value and "{%" not in value
    if isinstance(value, dict):
        return all(_is_literal(one) for one in value.values())
    if isinstance(value, list):
        return all(_is_literal(one) for one in value)
    return True


def _annotation(info: FieldInfo) -> Any:
    from typing import Annotated  # noqa: PLC0415 - built from parts at run time

    return Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
