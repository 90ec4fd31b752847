"""What can be known of an expression before it runs: what passes here fails on no misspelt field and no wrong type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jinja2 import nodes
from pydantic.fields import FieldInfo

from orchestrator.errors import FindingLevel
from orchestrator.language.expressions.absences import lacking
from orchestrator.language.expressions.compiled import Expression, Template, Tree
from orchestrator.language.expressions.fitting import unfit
from orchestrator.language.expressions.guards import Path, Paths, closed, guards_of
from orchestrator.language.expressions.inference import Env, Inference, is_plain_path, place_of, shown_of
from orchestrator.language.expressions.kinds import (
    LOOSE,
    NONE,
    TEXT,
    UNKNOWN,
    ListOf,
    MapOf,
    Model,
    Nothing,
    Record,
    Type,
    as_type,
    constant,
    list_of,
    said,
    union,
)
from orchestrator.language.expressions.nodes import path_of
from orchestrator.language.expressions.parse import line_and_column
from orchestrator.language.expressions.results import unwritable

Scope = Mapping[str, Any]
"""Names to their types: a pydantic model, an annotation, a nested scope, or Any for what nobody can check."""
MAY_BE_ABSENT = "may_be_absent"
TYPE = "type"
LOOP: Scope = {"index": int, "first": bool, "last": bool, "length": int}


@dataclass(frozen=True)
class Problem:
    """Something wrong in an expression, with its place in the source where it is known; lines and columns from 1.

    `code` is `type`, or `may_be_absent` for a value that may be missing where a parameter needs one; then `path` is
    what may be missing, where it is a path.
    """

    message: str
    hint: str = ""
    column: int | None = None
    level: FindingLevel = FindingLevel.ERROR
    line: int = 1
    code: str = TYPE
    path: Path | None = None


def check_types(
    compiled: Expression | Template, scope: Scope, wanted: Any = None, present: Iterable[Path] | None = None
) -> list[Problem]:
    """All that is surely wrong in it, in the order of the source.

    `wanted` is what its value has to fit: an annotation, or the field of a model, which may be left out where it has a
    default. `present` are the paths that surely have a value; without them nobody is told what may be absent.
    """
    check = _Check(compiled.source, tell_absences=present is not None)
    env = Env(scope, closed(present or ()), lenient=isinstance(compiled, Expression) and compiled.lenient)
    if isinstance(compiled, Expression) and compiled.lenient:
        check.inference.condition(compiled.node, env)
    elif isinstance(compiled, Expression) or compiled.single is not None:
        node = compiled.node if isinstance(compiled, Expression) else compiled.single
        assert node is not None  # noqa: S101 - looked at above
        check.value(node, env, None if wanted is None else wanted_type(wanted))
    else:
        check.text(compiled, env, None if wanted is None else wanted_type(wanted))
    return sorted(check.problems, key=lambda problem: (problem.line, problem.column or 0))


def infer(node: nodes.Expr, scope: Scope, present: Iterable[Path] = (), *, lenient: bool = False) -> Type:
    """The type of an expression's value, wherever that can be known; its mistakes are for `check_types` to tell."""
    return _Check("").inference.of(node, Env(scope, closed(present), lenient))


def type_of(compiled: Expression | Template | Tree, scope: Scope, present: Iterable[Path] = ()) -> Type:
    """The type of what this gives when it is evaluated: an entry for the scope of what comes after."""
    if isinstance(compiled, Tree):
        return _of_tree(compiled.parts, scope, frozenset(present))
    if isinstance(compiled, Expression):
        return infer(compiled.node, scope, present, lenient=compiled.lenient)
    if compiled.is_literal:
        return constant(compiled.source)
    return TEXT if compiled.single is None else infer(compiled.single, scope, present)


def _of_tree(tree: Any, scope: Scope, present: Paths) -> Type:
    if isinstance(tree, Template):
        return type_of(tree, scope, present)
    if isinstance(tree, dict):
        return Type((Record({name: _of_tree(value, scope, present) for name, value in tree.items()}),))
    if isinstance(tree, list):
        return list_of(union(_of_tree(value, scope, present) for value in tree))
    return constant(tree)


def guarded(compiled: Expression, *, holds: bool = True) -> Paths:
    """The paths that surely have a value where the condition holds, or where it does not."""
    guards = guards_of(compiled.node)
    return guards.holds if holds else guards.fails


def wanted_type(wanted: Any) -> Type:
    """The type of a parameter; a field with a default may be left out."""
    found = as_type(wanted)
    return found | NONE if isinstance(wanted, FieldInfo) and not wanted.is_required() else found


def wanted_at(wanted: Any, place: Iterable[str | int]) -> Type:
    """What is wanted at a place of a tree: the type of a parameter's part."""
    found = wanted_type(wanted)
    for step in place:
        found = union(_inside(kind, step) for kind in found.there.kinds)
    return found


def _inside(kind: Any, step: str | int) -> Type:
    if isinstance(kind, ListOf) and isinstance(step, int):
        return kind.item
    if isinstance(kind, MapOf):
        return kind.value
    if isinstance(kind, Model) and step in kind.cls.model_fields:
        return wanted_type(kind.cls.model_fields[str(step)])
    if isinstance(kind, Record) and step in kind.fields:
        return as_type(kind.fields[str(step)])
    return UNKNOWN


@dataclass
class _Check:
    """Gathers the problems of one source."""

    source: str
    tell_absences: bool = False
    problems: list[Problem] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.inference = Inference(self._tell)

    def _tell(
        self, place: int, message: str, hint: str, level: FindingLevel, code: str = TYPE, path: Path | None = None
    ) -> None:
        line, column = line_and_column(self.source, place)
        problem = Problem(message, hint, column, level, line, code, path)
        if problem not in self.problems:  # what stands twice in a chain is looked at twice
            self.problems.append(problem)

    def value(self, node: nodes.Expr, env: Env, wanted: Type | None) -> None:
        """One expression whose value keeps its type."""
        found = self.inference.of(node, env)
        mismatch = unfit(wanted, found, rendered=True) if wanted is not None else None
        if mismatch is not None:
            self.inference.say(node, f"{shown_of(node)} does not fit: {mismatch.reason}", mismatch.hint)
        may_be_none = wanted is None or bool(wanted.lacks)
        if not (may_be_none and found.lacks <= {"none"}):
            self.absent(node, env)

    def text(self, template: Template, env: Env, wanted: Type | None) -> None:
        """A text with expressions in it."""
        for node in template.body:
            self.statement(node, env)
        found = constant(template.source) if template.is_literal else TEXT
        mismatch = unfit(wanted, found, rendered=True) if wanted is not None else None
        if mismatch is not None:
            hint = mismatch.hint if template.is_literal else "write one expression alone: its value keeps its type"
            self._tell(1, f"text does not fit: {mismatch.reason}", hint, FindingLevel.ERROR)

    def statement(self, node: nodes.Node, env: Env) -> None:
        """A part of a template."""
        if isinstance(node, nodes.Output):
            for part in node.nodes:
                if not isinstance(part, nodes.TemplateData):
                    self._written(part, env)
        elif isinstance(node, nodes.If):
            self._if(node, env)
        elif isinstance(node, nodes.For):
            self._for(node, env)

    def _written(self, node: nodes.Expr, env: Env) -> None:
        self.inference.mismatched(node, unwritable(self.inference.of(node, env)), shown_of(node))
        self.absent(node, env)

    def _if(self, node: nodes.If, env: Env) -> None:
        for branch in (node, *node.elif_):
            self.inference.condition(branch.test, env.conditions)
            guards = guards_of(branch.test)
            self._all(branch.body, env.knowing(guards.holds))
            env = env.knowing(guards.fails)
        self._all(node.else_, env)

    def _for(self, node: nodes.For, env: Env) -> None:
        name = getattr(node.target, "name", "")
        found = self.inference.of(node.iter, env)
        mismatch = unfit(list_of(LOOSE), found)
        if mismatch is not None:
            objects = all(isinstance(kind, MapOf | Record | Model | Nothing) for kind in found.kinds)
            hint = "go over its `| keys`, `| values` or `| entries`" if objects else mismatch.hint
            self.inference.say(node.iter, f"a loop goes over a list, found {said(found.there)}", hint)
        self.absent(node.iter, env)
        inner = env.inner({name: found.item})
        if node.test:
            self.inference.condition(node.test, inner.conditions)
            inner = inner.knowing(guards_of(node.test).holds)
        self._all(node.body, inner.inner({"loop": LOOP}))
        self._all(node.else_, env)

    def _all(self, body: Iterable[nodes.Node], env: Env) -> None:
        for node in body:
            self.statement(node, env)

    def absent(self, node: nodes.Node, env: Env) -> None:
        """Tell what may have no value where there has to be one."""
        if not self.tell_absences:
            return
        for part in lacking(node, env):
            path = path_of(part) if is_plain_path(part) else None
            message = f"{_shown_part(part)} may be absent"
            hint = "guard it, or give it a `default(...)`"
            self._tell(place_of(part), message, hint, FindingLevel.WARNING, MAY_BE_ABSENT, path)


def _shown_part(node: nodes.Node) -> str:
    return "the value without an else" if isinstance(node, nodes.CondExpr) else shown_of(node)
