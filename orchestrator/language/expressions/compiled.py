"""Expressions, templates and trees of them, compiled once and kept by their text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

from jinja2 import nodes

from orchestrator.errors import ExpressionError, LimitExceeded
from orchestrator.language.expressions.frame import Closure, Frame
from orchestrator.language.expressions.nodes import closure_of
from orchestrator.language.expressions.parse import (
    Path,
    bounded,
    calls_of,
    line_and_column,
    parse_expression,
    parse_template,
    paths_of,
    single,
)
from orchestrator.language.expressions.statements import writer_of
from orchestrator.language.expressions.values import (
    Absent,
    field,
    is_absent,
    measured,
    missing,
    plain,
    shortened,
    truth,
)

Names = Mapping[str, Any]
P = ParamSpec("P")
R = TypeVar("R")
LONGEST_SHOWN = 500
"""characters of a value in a record of why"""


def _ends_in_words(work: Callable[P, R]) -> Callable[P, R]:
    """What Python itself raises over a value from outside is an error of the expression.

    Nothing else may leave: intake and workflows tell an author about an `ExpressionError` and stop at anything else.
    """

    @wraps(work)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return work(*args, **kwargs)
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise ExpressionError(f"the values do not allow this: {shortened(error)}") from error

    return guarded


@dataclass(frozen=True)
class Reason:
    """What a condition came to: the values that it read, and the error that made it false, if one did."""

    holds: bool
    values: dict[str, Any]
    error: str | None = None


class Expression:
    """A bare expression. `lenient` is set for conditions: what is absent is false there.

    `paths` are the paths that it names, up to the first computed place; `calls` the filters, tests and functions.
    """

    def __init__(self, source: str, *, lenient: bool) -> None:
        self.source = source
        self.lenient = lenient
        self.node = parse_expression(source)
        self.paths = paths_of([self.node])
        self.calls = calls_of([self.node])
        self._closure: Closure = _placed(source, closure_of, self.node)

    @_ends_in_words
    def value(self, names: Names) -> Any:
        """The value; raises `ValueAbsent` where there is none and `ExpressionError` for what makes no sense."""
        value = self._closure(Frame(names, lenient=self.lenient))
        if isinstance(value, Absent) and not self.lenient:
            raise missing(value, self.source)
        return measured(value)

    @_ends_in_words
    def test(self, names: Names) -> bool:
        """Whether the condition holds; an error in it raises `ExpressionError`."""
        return truth(self._closure(Frame(names, lenient=self.lenient)))

    def explain(self, names: Names) -> Reason:
        """The same with the values that it read; an error makes it false and is told."""
        try:
            holds, error = self.test(names), None
        except ExpressionError as mistake:
            holds, error = False, str(mistake)
        return Reason(holds, {".".join(path): _shown(names, path) for path in sorted(self.paths)}, error)


class Template:
    """A string of a playbook: text with expressions in it, or one expression alone, whose value keeps its type."""

    def __init__(self, source: str) -> None:
        self.source = source
        bounded(source)
        self.is_literal = "{{" not in source and "{%" not in source and "{#" not in source
        self.body: list[nodes.Node] = [] if self.is_literal else parse_template(source)
        self.single = single(self.body)
        self.paths: frozenset[Path] = paths_of(self.body)
        self.calls = calls_of(self.body)
        if self.single is not None:
            self._single = _placed(source, closure_of, self.single)
        else:
            self._parts = [_placed(source, writer_of, node) for node in self.body]

    @_ends_in_words
    def render(self, names: Names) -> Any:
        """The typed value of a single expression, or the text."""
        if self.is_literal:
            return self.source
        frame = Frame(names, lenient=False)
        if self.single is not None:
            value = self._single(frame)
            if isinstance(value, Absent):
                raise missing(value, self.source)
            return measured(value)
        out: list[str] = []
        for part in self._parts:
            part(frame, out)
        frame.meter.room_for(sum(map(len, out)))
        return "".join(out)


class Tree:
    """Nested parameters whose strings are templates."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.parts = _compile_all(source)

    @cached_property
    def templates(self) -> list[tuple[tuple[str | int, ...], Template]]:
        """Every template with its place in the tree."""
        return list(_templates(self.parts, ()))

    @property
    def paths(self) -> frozenset[Path]:
        """All paths that its templates name."""
        return frozenset(path for _, template in self.templates for path in template.paths)

    def render(self, names: Names) -> Any:
        """The tree with all templates rendered to plain data; raises as `Template.render`, with the place."""
        return _render(self.parts, names, ())


def _compile_all(source: Any) -> Any:
    if isinstance(source, str):
        return compile_template(source)
    if isinstance(source, Mapping):
        return {name: _compile_all(value) for name, value in source.items()}
    if isinstance(source, list | tuple):
        return [_compile_all(value) for value in source]
    return source


def _templates(tree: Any, place: tuple[str | int, ...]) -> Iterable[tuple[tuple[str | int, ...], Template]]:
    if isinstance(tree, Template):
        yield place, tree
    elif isinstance(tree, dict):
        for name, value in tree.items():
            yield from _templates(value, (*place, name))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from _templates(value, (*place, index))


def _render(tree: Any, names: Names, place: tuple[str | int, ...]) -> Any:
    if isinstance(tree, Template):
        try:
            return plain(tree.render(names))
        except ExpressionError as error:
            where = ".".join(str(part) for part in place)
            raise type(error)(f"{where}: {error.message}" if where else error.message, hint=error.hint) from None
    if isinstance(tree, dict):
        return {name: _render(value, names, (*place, name)) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_render(value, names, (*place, index)) for index, value in enumerate(tree)]
    return tree


@lru_cache(maxsize=10_000)
def compile_condition(source: str) -> Expression:
    """The condition in bare form; what is absent in it is false."""
    return Expression(source, lenient=True)


@lru_cache(maxsize=10_000)
def compile_value(source: str) -> Expression:
    """The value in bare form."""
    return Expression(source, lenient=False)


@lru_cache(maxsize=10_000)
def compile_template(source: str) -> Template:
    """A string of a playbook."""
    return Template(source)


def compile_tree(source: Any) -> Tree:
    """Parameters: nested mappings and lists, their strings templates."""
    return Tree(source)


def render_tree(tree: Tree, names: Names) -> Any:
    """Parameters with their templates rendered."""
    return tree.render(names)


def _placed(source: str, make: Callable[[nodes.Node], R], node: nodes.Node) -> R:
    """What is made of a node; a mistake in it has line and column instead of the place that nodes have."""
    try:
        return make(node)
    except ExpressionError as error:
        if error.line is None and error.column is not None:
            error.line, error.column = line_and_column(source, error.column)
        raise


def _shown(names: Names, path: Path) -> Any:
    """The value at a path, for a record: bounded, and null where there is none."""
    value: Any = names
    try:
        for name in path:
            value = field(value, name, name, known_shape=False)
        shown = None if is_absent(value) else plain(value)
    except LimitExceeded:
        return "(too large to show)"
    except ExpressionError:  # no such field
        return None
    text = str(shown)
    return shown if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "\u2026"
