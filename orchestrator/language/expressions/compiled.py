"""Expressions, templates and trees of them, compiled once and kept by their text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes

from orchestrator.errors import ExpressionError, TocsinError, ValueAbsent
from orchestrator.language.expressions import limits
from orchestrator.language.expressions.nodes import Closure, Frame, closure_of, path_of
from orchestrator.language.expressions.values import Absent, field, is_absent, listed_or_raise, plain, text_of, truth

Names = Mapping[str, Any]
Path = tuple[str, ...]

_PARSER = Environment(autoescape=False, keep_trailing_newline=True)  # noqa: S701 - only its parser is used


@dataclass(frozen=True)
class Reason:
    """What a condition came to: the values that it read, and the error that made it false, if one did."""

    holds: bool
    values: dict[str, Any]
    error: str | None = None


class Expression:
    """A bare expression. `lenient` is set for conditions: what is absent is false there."""

    def __init__(self, source: str, *, lenient: bool) -> None:
        self.source = source
        self.lenient = lenient
        self.node = _parse_expression(source)
        self.paths = _paths(self.node)
        self._closure: Closure = _placed(source, self.node)

    def value(self, names: Names) -> Any:
        """The value; raises `ValueAbsent` where there is none and `ExpressionError` for what makes no sense."""
        value = self._closure(Frame(names, lenient=self.lenient))
        if isinstance(value, Absent) and not self.lenient:
            raise ValueAbsent(f"{value.path or self.source} is absent", hint="guard it, or give it a `default(...)`")
        return value

    def test(self, names: Names) -> bool:
        """Whether the condition holds; an error in it raises."""
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
        _bounded(source)
        self.is_literal = "{{" not in source and "{%" not in source and "{#" not in source
        self.body: list[nodes.Node] = [] if self.is_literal else _parse_template(source)
        self.single = _single(self.body, source)
        self.paths = frozenset[Path]() if self.is_literal else _paths_of(self.body)
        if self.single is not None:
            self._single = _placed(source, self.single)
        else:
            self._parts = [_part(node, 0) for node in self.body]

    def render(self, names: Names) -> Any:
        """The typed value of a single expression, or the text."""
        if self.is_literal:
            return self.source
        frame = Frame(names, lenient=False)
        if self.single is not None:
            value = self._single(frame)
            if isinstance(value, Absent):
                raise ValueAbsent(f"{value.path or self.source} is absent", hint="give it a `default(...)`")
            return value
        out: list[str] = []
        for part in self._parts:
            part(frame, out)
        return "".join(out)


class Tree:
    """Nested parameters whose strings are templates."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self._tree = _compile_all(source)

    @cached_property
    def templates(self) -> list[tuple[tuple[str | int, ...], Template]]:
        """Every template with its place in the tree."""
        return list(_templates(self._tree, ()))

    @property
    def paths(self) -> frozenset[Path]:
        """All paths that its templates name."""
        return frozenset(path for _, template in self.templates for path in template.paths)

    def render(self, names: Names) -> Any:
        """The tree with all templates rendered to plain data; raises as `Template.render`, with the place."""
        return _render(self._tree, names, ())


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


def _bounded(source: str) -> None:
    if len(source) > limits.SOURCE:
        raise ExpressionError(f"longer than {limits.SOURCE} characters")


def _parse_expression(source: str) -> nodes.Expr:
    _bounded(source)
    if not source.strip():
        raise ExpressionError("an empty expression")
    if "{{" in source or "{%" in source:
        raise ExpressionError("an expression stands here bare, without {{ }}")
    body = _parse_template("{{ (" + source + "\n) }}")  # in brackets, so that it may be one expression only
    single = _single(body, "")
    if single is None:
        raise ExpressionError("not one expression")
    return single


def _parse_template(source: str) -> list[nodes.Node]:
    try:
        tree = _PARSER.parse(source)
    except TemplateSyntaxError as error:
        raise ExpressionError(f"cannot be read: {error.message}") from None
    except RecursionError:
        raise ExpressionError(f"nested more than {limits.DEPTH} deep") from None
    _count(tree)
    return list(tree.body)


def _count(tree: nodes.Node) -> None:
    """Walk without recursion: a tree that is too large or too deep is refused before anything recurses over it."""
    waiting, seen = [(tree, 0)], 0
    while waiting:
        node, depth = waiting.pop()
        seen += 1
        if seen > limits.NODES:
            raise ExpressionError(f"has more than {limits.NODES} parts")
        if depth > limits.DEPTH + 3:
            raise ExpressionError(f"nested more than {limits.DEPTH} deep")
        waiting += [(child, depth + 1) for child in node.iter_child_nodes()]


def _single(body: list[nodes.Node], source: str) -> nodes.Expr | None:
    """The one expression that a template is, blanks around it aside."""
    if len(body) != 1 or not isinstance(body[0], nodes.Output):
        return None
    found = [part for part in body[0].nodes if not (isinstance(part, nodes.TemplateData) and not part.data.strip())]
    if len(found) == 1 and not isinstance(found[0], nodes.TemplateData):
        return found[0]
    return None


def _placed(source: str, node: nodes.Node) -> Closure:
    try:
        return closure_of(node)
    except ExpressionError as error:
        error.column = error.column or _column(source, error.message)
        raise


def _column(source: str, message: str) -> int | None:
    """Where in the source the quoted word of a message stands: Jinja's nodes know lines only."""
    word = message.split("'")[1] if message.count("'") >= 2 else message.partition(" ")[0]
    quoted = word.partition(":")[0]
    place = source.find(quoted)
    return place + 1 if place >= 0 else None


Writer = Any


def _part(node: nodes.Node, depth: int) -> Writer:
    """What writes a part of a template into the list that it is given."""
    if depth > limits.DEPTH:
        raise ExpressionError(f"nested more than {limits.DEPTH} deep")
    if isinstance(node, nodes.Output):
        return _output([_output_part(part) for part in node.nodes])
    if isinstance(node, nodes.If):
        return _if(node, depth)
    if isinstance(node, nodes.For):
        return _for(node, depth)
    raise ExpressionError(
        f"{{% {type(node).__name__.lower()} %}} is not part of the language", hint="there are for and if"
    )


def _output_part(node: nodes.Node) -> Closure:
    if isinstance(node, nodes.TemplateData):
        data = node.data
        return lambda frame: data
    return closure_of(node)


def _output(parts: list[Closure]) -> Writer:
    def write(frame: Frame, out: list[str]) -> None:
        for part in parts:
            out.append(frame.meter.text(text_of(part(frame))))

    return write


def _all(body: list[nodes.Node], depth: int) -> Writer:
    parts = [_part(node, depth + 1) for node in body]

    def write(frame: Frame, out: list[str]) -> None:
        for part in parts:
            part(frame, out)

    return write


def _if(node: nodes.If, depth: int) -> Writer:
    branches = [(closure_of(one.test), _all(one.body, depth)) for one in (node, *node.elif_)]
    otherwise = _all(node.else_, depth)

    def write(frame: Frame, out: list[str]) -> None:
        lenient = Frame(frame.names, lenient=True)  # a condition: what is absent is false
        lenient.meter = frame.meter
        for test, body in branches:
            if truth(test(lenient)):
                body(frame, out)
                return
        otherwise(frame, out)

    return write


def _for(node: nodes.For, depth: int) -> Writer:
    if not isinstance(node.target, nodes.Name) or node.recursive:
        raise ExpressionError("a loop has one name: {% for x in list %}")
    name, items = node.target.name, closure_of(node.iter)
    wanted = closure_of(node.test) if node.test else None
    body, otherwise = _all(node.body, depth), _all(node.else_, depth)

    def write(frame: Frame, out: list[str]) -> None:
        values = items(frame)
        values = [] if is_absent(values) else listed_or_raise(values)
        if wanted is not None:
            values = [value for value in values if truth(wanted(frame.inner(**{name: value})))]
        if not values:
            otherwise(frame, out)
            return
        for index, value in enumerate(values):
            frame.meter.step()
            loop = {"index": index + 1, "first": index == 0, "last": index == len(values) - 1, "length": len(values)}
            body(frame.inner(**{name: value, "loop": loop}), out)

    return write


def _paths(node: nodes.Node) -> frozenset[Path]:
    return _paths_of([node])


def _paths_of(body: Iterable[nodes.Node]) -> frozenset[Path]:
    """Every path that is named; names that a loop makes are not paths of the outside."""
    found: set[Path] = set()

    def walk(node: nodes.Node, mine: frozenset[str]) -> None:
        if isinstance(node, nodes.For):
            names = {one.name for one in node.target.find_all(nodes.Name)} | {"loop"}
            if isinstance(node.target, nodes.Name):
                names.add(node.target.name)
            walk(node.iter, mine)
            for child in (*node.body, *node.else_, *([node.test] if node.test else [])):
                walk(child, mine | names)
            return
        path = path_of(node)
        if path is not None and path[0] not in mine:
            found.add(path[: path.index("*")] if "*" in path else path)
        if path is None or isinstance(node, nodes.Getitem):
            for child in node.iter_child_nodes():
                if path is None or child is not getattr(node, "node", None) or path_of(child) is None:
                    walk(child, mine)

    for one in body:
        walk(one, frozenset())
    return frozenset(found)


def _shown(names: Names, path: Path) -> Any:
    """The value at a path, for a record: bounded, and null where there is none."""
    value: Any = names
    try:
        for name in path:
            value = field(value, name, name)
    except TocsinError:
        return None
    shown = None if is_absent(value) else plain(value)
    text = str(shown)
    return shown if len(text) <= 500 else text[:500] + "\u2026"
