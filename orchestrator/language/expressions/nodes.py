"""The tree of Jinja's parser, checked against the allow-list and turned into closures.

A closure takes a `Frame` and gives a value. In a lenient frame (a condition) what is absent stays absent and compares
false; in a strict one (a parameter) using it raises `ValueAbsent`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from jinja2 import nodes

from orchestrator.errors import ExpressionError, ValueAbsent
from orchestrator.language.expressions.filters.registry import FILTERS, TESTS, Tool, load
from orchestrator.language.expressions.limits import DEPTH, Meter, number
from orchestrator.language.expressions.values import (
    Absent,
    contains,
    equal,
    field,
    is_absent,
    kind_of,
    less,
    present,
    text_of,
    truth,
)

load()


class Frame:
    """One evaluation: the names that it may read, and what it has used."""

    __slots__ = ("lenient", "meter", "names")

    def __init__(self, names: Mapping[str, Any], *, lenient: bool) -> None:
        self.names = names
        self.lenient = lenient
        self.meter = Meter()

    def inner(self, **more: Any) -> Frame:
        """The same evaluation with further names: the body of a loop."""
        inside = Frame({**self.names, **more}, lenient=self.lenient)
        inside.meter = self.meter
        return inside


Closure = Callable[[Frame], Any]


def closure_of(node: nodes.Node, depth: int = 0) -> Closure:
    """The closure of an expression's node; raises `ExpressionError` for what the language does not have."""
    if depth > DEPTH:
        raise ExpressionError(f"nested more than {DEPTH} deep")
    maker = _MAKERS.get(type(node))
    if maker is None:
        raise ExpressionError(_REFUSED.get(type(node), f"{type(node).__name__.lower()} is not part of the language"))
    return maker(node, depth + 1)


def path_of(node: nodes.Node) -> tuple[str, ...] | None:
    """The path that a chain of fields names, `*` where a place is computed; None for anything else."""
    if isinstance(node, nodes.Name):
        return (node.name,)
    if isinstance(node, nodes.Getattr | nodes.Getitem):
        base = path_of(node.node)
        if base is None or base[-1] == "*":
            return base
        if isinstance(node, nodes.Getattr):
            return (*base, node.attr)
        literal = node.arg.value if isinstance(node.arg, nodes.Const) else None
        return (*base, literal) if isinstance(literal, str) else (*base, "*")
    return None


def _name(node: nodes.Name, depth: int) -> Closure:
    name = node.name

    def read(frame: Frame) -> Any:
        try:
            return frame.names[name]
        except KeyError:
            near = difflib.get_close_matches(name, frame.names, n=1)
            raise ExpressionError(
                f"no name {name!r} here", hint=f"did you mean {near[0]}?" if near else "text needs quotes"
            ) from None

    return read


def _const(node: nodes.Const, depth: int) -> Closure:
    value = node.value
    if isinstance(value, int) and not isinstance(value, bool):
        number(value)
    return lambda frame: value


def _field(node: nodes.Getattr | nodes.Getitem, depth: int) -> Closure:
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
        raise ExpressionError("slices are not part of the language", hint="use `| first(n)`")
    base = closure_of(node.node, depth)
    arg = nodes.Const(node.attr) if isinstance(node, nodes.Getattr) else node.arg
    key = closure_of(arg, depth)
    shown = ".".join(path_of(node) or ("the value",))
    return lambda frame: field(base(frame), key(frame), shown)


def _list(node: nodes.List | nodes.Tuple, depth: int) -> Closure:
    items = [closure_of(item, depth) for item in node.items]
    return lambda frame: frame.meter.items([present(item(frame)) for item in items])


def _dict(node: nodes.Dict, depth: int) -> Closure:
    pairs = [(closure_of(pair.key, depth), closure_of(pair.value, depth)) for pair in node.items]

    def make(frame: Frame) -> dict[str, Any]:
        made = {key(frame): present(value(frame)) for key, value in pairs}
        if not all(isinstance(key, str) for key in made):
            raise ExpressionError("the names in an object are text")
        return made

    return make


def _and(node: nodes.And, depth: int) -> Closure:
    left, right = closure_of(node.left, depth), closure_of(node.right, depth)

    def both(frame: Frame) -> Any:
        value = left(frame)
        return right(frame) if truth(value) else value

    return both


def _or(node: nodes.Or, depth: int) -> Closure:
    left, right = closure_of(node.left, depth), closure_of(node.right, depth)

    def either(frame: Frame) -> Any:
        value = left(frame)
        return value if truth(value) else right(frame)

    return either


def _not(node: nodes.Not, depth: int) -> Closure:
    inner = closure_of(node.node, depth)
    return lambda frame: not truth(inner(frame))


def _choice(node: nodes.CondExpr, depth: int) -> Closure:
    test, then = closure_of(node.test, depth), closure_of(node.expr1, depth)
    otherwise = closure_of(node.expr2, depth) if node.expr2 else lambda frame: None
    return lambda frame: then(frame) if truth(test(frame)) else otherwise(frame)


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": equal,
    "ne": lambda left, right: not equal(left, right),
    "lt": less,
    "gt": lambda left, right: less(right, left),
    "lteq": lambda left, right: not less(right, left),
    "gteq": lambda left, right: not less(left, right),
    "in": lambda left, right: contains(right, left),
    "notin": lambda left, right: not contains(right, left),
}


def _compare(node: nodes.Compare, depth: int) -> Closure:
    first = closure_of(node.expr, depth)
    rest = [(operand.op, _COMPARISONS[operand.op], closure_of(operand.expr, depth)) for operand in node.ops]

    def compare(frame: Frame) -> bool:
        left = first(frame)
        for name, holds, right_of in rest:
            right = right_of(frame)
            if not _one(frame, name, holds, left, right):
                return False
            left = right
        return True

    return compare


def _one(frame: Frame, name: str, holds: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    frame.meter.step(1 + (len(right) if isinstance(right, list | tuple) else 0))
    for side in (left, right):
        if isinstance(side, str):
            frame.meter.read(side)
    if is_absent(left) or is_absent(right):
        # `x == none` asks whether it is there; every other comparison with nothing is false
        if name in ("eq", "ne") and (left is None or right is None):
            return (is_absent(left) and is_absent(right)) is (name == "eq")
        if not frame.lenient:
            present(left)
            present(right)
        return False
    return holds(left, right)


def _arithmetic(work: Callable[[Frame, Any, Any], Any]) -> Callable[[Any, int], Closure]:
    def make(node: Any, depth: int) -> Closure:
        left, right = closure_of(node.left, depth), closure_of(node.right, depth)

        def compute(frame: Frame) -> Any:
            a, b = left(frame), right(frame)
            if is_absent(a) or is_absent(b):
                missing = a if is_absent(a) else b
                if frame.lenient:
                    return Absent("")
                return present(missing if isinstance(missing, Absent) else Absent())
            try:
                return work(frame, a, b)
            except (OverflowError, ZeroDivisionError):
                raise ExpressionError("the numbers do not allow this: overflow or a division by zero") from None

        return compute

    return make


def _numbers(*values: Any) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _plus(frame: Frame, a: Any, b: Any) -> Any:
    if _numbers(a, b):
        return number(a + b)
    if isinstance(a, str) and isinstance(b, str):
        return frame.meter.text(str(a) + str(b))
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return frame.meter.items([*a, *b])
    if isinstance(a, datetime | timedelta) and isinstance(b, timedelta):
        return a + b
    raise ExpressionError(f"{kind_of(a)} and {kind_of(b)} cannot be added", hint="there are no conversions")


def _minus(frame: Frame, a: Any, b: Any) -> Any:
    if _numbers(a, b):
        return number(a - b)
    if isinstance(a, datetime | timedelta) and isinstance(b, datetime | timedelta):
        if isinstance(a, timedelta) and isinstance(b, datetime):
            raise ExpressionError("a time cannot be taken from a duration")
        return a - b  # type: ignore[operator]
    raise ExpressionError(f"{kind_of(b)} cannot be taken from {kind_of(a)}")


def _of_numbers(name: str, work: Callable[[Any, Any], Any]) -> Callable[[Frame, Any, Any], Any]:
    def compute(frame: Frame, a: Any, b: Any) -> Any:
        if not _numbers(a, b):
            raise ExpressionError(f"{name} takes numbers, found {kind_of(a)} and {kind_of(b)}")
        return number(work(a, b))

    return compute


def _sign(work: Callable[[Any], Any]) -> Callable[[Any, int], Closure]:
    def make(node: Any, depth: int) -> Closure:
        inner = closure_of(node.node, depth)

        def compute(frame: Frame) -> Any:
            value = inner(frame)
            if not _numbers(value):
                raise ExpressionError(f"a sign stands before a number, found {kind_of(value)}")
            return number(work(value))

        return compute

    return make


def _concat(node: nodes.Concat, depth: int) -> Closure:
    parts = [closure_of(part, depth) for part in node.nodes]

    def join(frame: Frame) -> str:
        text = ""
        for part in parts:
            text = frame.meter.text(text + text_of(part(frame)))
        return text

    return join


def _filter(node: nodes.Filter, depth: int) -> Closure:
    if node.node is None:
        raise ExpressionError("filter blocks are not part of the language")
    inner = closure_of(node.node, depth)
    if node.name == "default":
        return _default(node, inner, depth)
    tool = _tool(FILTERS, node.name, "filter")
    arguments = _arguments(node, tool, depth)

    def apply(frame: Frame) -> Any:
        value = inner(frame)
        if is_absent(value):
            if frame.lenient:
                return Absent("")
            present(value if isinstance(value, Absent) else Absent(f"what `{tool.name}` is given"))
        frame.meter.step()
        return tool.function(frame.meter, value, *[present(argument(frame)) for argument in arguments])

    return apply


def _default(node: nodes.Filter, inner: Closure, depth: int) -> Closure:
    if len(node.args) != 1 or node.kwargs:
        raise ExpressionError("default takes one value: `| default(0)`")
    otherwise = closure_of(node.args[0], depth)

    def apply(frame: Frame) -> Any:
        try:
            value = inner(frame)
        except ValueAbsent:
            return otherwise(frame)
        return otherwise(frame) if is_absent(value) else value

    return apply


def _test(node: nodes.Test, depth: int) -> Closure:
    tool = _tool(TESTS, node.name, "test")
    inner = closure_of(node.node, depth)
    arguments = _arguments(node, tool, depth)
    asks_for_absence = tool.name in ("none", "defined", "undefined")

    def apply(frame: Frame) -> bool:
        value = inner(frame)
        if is_absent(value) and not asks_for_absence:
            if frame.lenient:
                return False
            present(value if isinstance(value, Absent) else Absent(f"what `is {tool.name}` is given"))
        frame.meter.step()
        return truth(tool.function(frame.meter, value, *[present(argument(frame)) for argument in arguments]))

    return apply


def _tool(tools: dict[str, Tool], name: str, kind: str) -> Tool:
    if name not in tools:
        near = difflib.get_close_matches(name, tools, n=1)
        raise ExpressionError(f"no {kind} is named {name!r}", hint=f"did you mean {near[0]}?" if near else "")
    return tools[name]


def _arguments(node: nodes.Filter | nodes.Test, tool: Tool, depth: int) -> list[Closure]:
    given = [*node.args, *(pair.value for pair in node.kwargs if tool.name == "map" and pair.key == "attribute")]
    if len(given) != len(node.args) + len(node.kwargs) or node.dyn_args or node.dyn_kwargs:
        raise ExpressionError(f"{tool.name} takes its arguments by place")
    if not tool.least_arguments <= len(given) <= tool.most_arguments:
        raise ExpressionError(f"{tool.name} takes {tool.least_arguments} to {tool.most_arguments} arguments")
    if tool.literal and not all(_is_literal(argument) for argument in given):
        raise ExpressionError(f"{tool.name} takes literals only, so that it can be checked before it runs")
    closures = [closure_of(argument, depth) for argument in given]
    if tool.name in ("matching", "regex_find"):  # the pattern is checked now, not on the first alert
        tool.function(Meter(), "", *(closure(Frame({}, lenient=False)) for closure in closures))
    return closures


def _is_literal(node: nodes.Node) -> bool:
    if isinstance(node, nodes.List | nodes.Tuple):
        return all(_is_literal(item) for item in node.items)
    return isinstance(node, nodes.Const)


def _call(node: nodes.Call, depth: int) -> Closure:
    if isinstance(node.node, nodes.Name) and node.node.name == "now" and not (node.args or node.kwargs):
        return lambda frame: present(frame.names.get("now", Absent("now()")))
    named = path_of(node.node)
    raise ExpressionError(
        f"{'.'.join(named) if named else 'a value'} cannot be called", hint="there are filters instead: `x | filter`"
    )


_MAKERS: dict[type[nodes.Node], Callable[[Any, int], Closure]] = {
    nodes.Name: _name,
    nodes.Const: _const,
    nodes.Getattr: _field,
    nodes.Getitem: _field,
    nodes.List: _list,
    nodes.Tuple: _list,
    nodes.Dict: _dict,
    nodes.And: _and,
    nodes.Or: _or,
    nodes.Not: _not,
    nodes.CondExpr: _choice,
    nodes.Compare: _compare,
    nodes.Add: _arithmetic(_plus),
    nodes.Sub: _arithmetic(_minus),
    nodes.Mul: _arithmetic(_of_numbers("`*`", lambda a, b: a * b)),
    nodes.Div: _arithmetic(_of_numbers("`/`", lambda a, b: a / b)),
    nodes.FloorDiv: _arithmetic(_of_numbers("`//`", lambda a, b: a // b)),
    nodes.Mod: _arithmetic(_of_numbers("`%`", lambda a, b: a % b)),
    nodes.Neg: _sign(lambda value: -value),
    nodes.Pos: _sign(lambda value: value),
    nodes.Concat: _concat,
    nodes.Filter: _filter,
    nodes.Test: _test,
    nodes.Call: _call,
}
_REFUSED: dict[type[nodes.Node], str] = {
    nodes.Pow: "powers are not part of the language",
    nodes.Slice: "slices are not part of the language",
}
