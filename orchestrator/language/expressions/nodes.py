"""The tree of Jinja's parser, checked against the allow-list and turned into closures."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from jinja2 import nodes

from orchestrator.errors import ExpressionError, WrongType
from orchestrator.language.expressions import operators
from orchestrator.language.expressions.frame import Closure, Frame
from orchestrator.language.expressions.limits import DEPTH, number
from orchestrator.language.expressions.tools import call_closure, filter_closure, test_closure
from orchestrator.language.expressions.values import Absent, field, is_absent, names_of, text_of, truth


def closure_of(node: nodes.Node, depth: int = 0) -> Closure:
    """The closure of an expression's node; raises `ExpressionError` for what the language does not have."""
    if depth > DEPTH:
        raise ExpressionError(f"nested more than {DEPTH} deep")
    maker = _MAKERS.get(type(node))
    if maker is None:
        refused = _REFUSED.get(type(node), f"{type(node).__name__.lower()} is not part of the language")
        raise ExpressionError(refused, column=node.lineno)
    try:
        return maker(node, depth + 1)
    except ExpressionError as error:
        error.column = error.column or node.lineno
        raise


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
            raise WrongType(
                f"no name {name!r} here", hint=f"did you mean {near[0]}?" if near else "text needs quotes"
            ) from None

    return read


def _const(node: nodes.Const, depth: int) -> Closure:
    value = node.value
    if isinstance(value, int | float) and not isinstance(value, bool):
        number(value)
    if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ExpressionError("a text holds half a surrogate pair")
    return lambda frame: value


def _field(node: nodes.Getattr | nodes.Getitem, depth: int) -> Closure:
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
        raise ExpressionError("slices are not part of the language", hint="use `| first(n)`")
    base, path = closure_of(node.node, depth), path_of(node)
    shown = ".".join(path or ("the value",))
    known_shape = "raw" not in (path or ())[:-1]  # nobody can know what an original looks like
    if isinstance(node, nodes.Getattr):
        return _named_field(base, node.attr, shown, known_shape=known_shape)
    key = closure_of(node.arg, depth)
    return lambda frame: field(base(frame), key(frame), shown, known_shape=known_shape)


def _named_field(base: Closure, name: str, shown: str, *, known_shape: bool) -> Closure:
    def read(frame: Frame) -> Any:
        value = base(frame)
        if name in names_of(type(value)):
            return getattr(value, name)
        if type(value) is dict and name in value:
            return value[name]
        return field(value, name, shown, known_shape=known_shape)

    return read


def _kept(frame: Frame, value: Any) -> Any:
    """What is put into an object: none where a condition finds nothing."""
    if isinstance(value, Absent):
        frame.absent(value)
        return None
    return value


def _list(node: nodes.List | nodes.Tuple, depth: int) -> Closure:
    items = [(closure_of(item, depth), _is_none(item)) for item in node.items]
    return lambda frame: frame.meter.items([_listed(frame, item(frame), meant) for item, meant in items])


def _listed(frame: Frame, value: Any, meant: bool) -> Any:
    """An item of a list that is written out; none is one only where the author wrote `none`."""
    if is_absent(value) and not meant:
        frame.absent(value, "an item of the list")
        return None
    return value


def _dict(node: nodes.Dict, depth: int) -> Closure:
    pairs = [(closure_of(pair.key, depth), closure_of(pair.value, depth)) for pair in node.items]

    def make(frame: Frame) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, value in pairs:
            name = key(frame)
            if not isinstance(name, str):
                raise WrongType("the names in an object are text")
            made[str(name)] = _kept(frame, value(frame))
        frame.meter.step(len(pairs))
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
    return lambda frame: then(frame) if truth(test(frame.conditions)) else otherwise(frame)


def _compare(node: nodes.Compare, depth: int) -> Closure:
    sides = [node.expr, *(operand.expr for operand in node.ops)]
    rest = []
    for place, operand in enumerate(node.ops):
        asks = operand.op in ("eq", "ne") and (_is_none(sides[place]) or _is_none(operand.expr))
        rest.append((operand.op, closure_of(operand.expr, depth), asks))
    return operators.comparison(closure_of(node.expr, depth), rest)


def _is_none(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Const) and node.value is None


def _arithmetic(work: Callable[[Frame, Any, Any], Any]) -> Callable[[Any, int], Closure]:
    return lambda node, depth: operators.arithmetic(closure_of(node.left, depth), closure_of(node.right, depth), work)


def _sign(work: Callable[[Any], Any]) -> Callable[[Any, int], Closure]:
    return lambda node, depth: operators.sign(closure_of(node.node, depth), work)


def _concat(node: nodes.Concat, depth: int) -> Closure:
    parts = [closure_of(part, depth) for part in node.nodes]

    def join(frame: Frame) -> Any:
        texts: list[str] = []
        for part in parts:
            value = part(frame)
            if is_absent(value):
                return frame.absent(value, "a part of the text")
            texts.append(text_of(value))
            frame.meter.room_for(sum(map(len, texts)))
        return frame.meter.text("".join(texts))

    return join


def _call(node: nodes.Call, depth: int) -> Closure:
    named = path_of(node.node)
    return call_closure(node, lambda inner: closure_of(inner, depth), ".".join(named) if named else "a value")


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
    nodes.Add: _arithmetic(operators.plus),
    nodes.Sub: _arithmetic(operators.minus),
    nodes.Mul: _arithmetic(operators.of_numbers("`*`", lambda a, b: a * b)),
    nodes.Div: _arithmetic(operators.of_numbers("`/`", lambda a, b: a / b)),
    nodes.FloorDiv: _arithmetic(operators.of_numbers("`//`", lambda a, b: a // b)),
    nodes.Mod: _arithmetic(operators.of_numbers("`%`", lambda a, b: a % b)),
    nodes.Neg: _sign(lambda value: -value),
    nodes.Pos: _sign(lambda value: value),
    nodes.Concat: _concat,
    nodes.Filter: lambda node, depth: filter_closure(node, lambda inner: closure_of(inner, depth)),
    nodes.Test: lambda node, depth: test_closure(node, lambda inner: closure_of(inner, depth)),
    nodes.Call: _call,
}
_REFUSED: dict[type[nodes.Node], str] = {
    nodes.Pow: "powers are not part of the language",
    nodes.Slice: "slices are not part of the language",
}
