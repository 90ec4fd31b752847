"""What can be known of an expression before it runs: fields that do not exist, comparisons that can never hold."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from jinja2 import nodes
from pydantic import BaseModel

from orchestrator.contract.values import NormalisedText, Severity
from orchestrator.errors import FindingLevel
from orchestrator.language.expressions.compiled import Expression, Template
from orchestrator.language.expressions.nodes import path_of

Scope = Mapping[str, Any]
"""Names to their types: a pydantic model, an annotation, a nested scope, or Any for what nobody can check."""


@dataclass(frozen=True)
class Problem:
    """Something wrong in an expression, with the column in its source where it is known."""

    message: str
    hint: str = ""
    column: int | None = None
    level: FindingLevel = FindingLevel.ERROR


def check_types(compiled: Expression | Template, scope: Scope) -> list[Problem]:
    """All that is surely wrong in it."""
    problems: list[Problem] = []
    if isinstance(compiled, Expression):
        trees: list[nodes.Node] = [compiled.node]
        if compiled.lenient:
            problems += _bare(compiled.node, compiled.source, scope)
    else:
        trees = compiled.body
    for tree in trees:
        problems += _walk(tree, scope, compiled.source)
    return problems


def _walk(node: nodes.Node, scope: Scope, source: str) -> Iterator[Problem]:
    if isinstance(node, nodes.For):
        yield from _walk(node.iter, scope, source)
        names = dict.fromkeys((getattr(node.target, "name", "item"), "loop"), Any)
        for child in (*node.body, *node.else_):
            yield from _walk(child, {**scope, **names}, source)
        return
    path = path_of(node)
    if path is not None:
        yield from _missing(path, scope, source)
        if isinstance(node, nodes.Getitem) and not isinstance(node.arg, nodes.Const):
            yield from _walk(node.arg, scope, source)
        return
    if isinstance(node, nodes.Compare):
        yield from _compared(node, scope, source)
    for child in node.iter_child_nodes():
        yield from _walk(child, scope, source)


def _missing(path: tuple[str, ...], scope: Scope, source: str) -> Iterator[Problem]:
    kind: Any = scope
    for depth, name in enumerate(path):
        known = _fields(kind)
        if known is None or name == "*":
            return
        if name not in known:
            if depth == 1 and path[0] == "steps":
                return  # the checker of steps says more about these
            near = difflib.get_close_matches(name, known, n=1)
            what = f"no name {name!r} here" if depth == 0 else f"{'.'.join(path[:depth])} has no field {name!r}"
            shown = ", ".join(sorted(known)[:12])
            hint = f"did you mean {'.'.join((*path[:depth], near[0]))}?" if near else f"known: {shown}"
            place = source.find(".".join(path[: depth + 1]))
            yield Problem(what, hint, place + 1 if place >= 0 else None)
            return
        kind = known[name]


def _fields(kind: Any) -> Mapping[str, Any] | None:
    """The fields that a type has; None where nobody can know."""
    kind = stripped(kind)
    if isinstance(kind, Mapping):
        return kind
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {name: field.annotation for name, field in kind.model_fields.items()}
    return None


def stripped(kind: Any) -> Any:
    """The type without `Annotated` and without None."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, UnionType):
        rest = [one for one in get_args(kind) if one is not type(None)]
        return stripped(rest[0]) if len(rest) == 1 else Any
    return kind


def type_at(path: tuple[str, ...], scope: Scope) -> Any:
    """The type of what a path names; Any where nobody can know."""
    kind: Any = scope
    for name in path:
        known = _fields(kind)
        if known is None or name not in known:
            return Any
        kind = known[name]
    return stripped(kind)


def _compared(node: nodes.Compare, scope: Scope, source: str) -> Iterator[Problem]:
    left: nodes.Node = node.expr
    for operand in node.ops:
        for side, other in ((left, operand.expr), (operand.expr, left)):
            path = path_of(side)
            if path is None:
                continue
            kind = type_at(path, scope)
            literals = (
                other.items
                if isinstance(other, nodes.List | nodes.Tuple) and operand.op in ("in", "notin")
                else [other]
            )
            for literal in literals:
                if isinstance(literal, nodes.Const) and literal.value is not None:
                    yield from _never(kind, ".".join(path), literal.value, operand.op, source)
        left = operand.expr


def _never(kind: Any, path: str, value: Any, op: str, source: str) -> Iterator[Problem]:
    """A literal that a value of this type can never be equal to, or ordered with."""
    if not isinstance(kind, type) or (op in ("in", "notin") and not issubclass(kind, Severity | Enum | NormalisedText)):
        return
    reason = _unfit(kind, value, op)
    if reason:
        place = source.find(repr(value)[1:-1] if isinstance(value, str) else str(value))
        yield Problem(f"{path} can never be {value!r}: {reason[0]}", reason[1], place + 1 if place >= 0 else None)


def _unfit(kind: type[Any], value: Any, op: str) -> tuple[str, str] | None:
    if issubclass(kind, Enum):
        words = [str(one.value) for one in kind]
        if isinstance(value, str) and value.lower() in words:
            return None
        near = difflib.get_close_matches(str(value).lower(), words, n=1)
        return f"it is one of {', '.join(words)}", f"did you mean {near[0]}?" if near else ""
    if issubclass(kind, NormalisedText) and isinstance(value, str):
        if op in ("in", "notin"):  # a part of the text is meant
            return None
        try:
            kind.parse(value)
        except ValueError as error:
            return str(error), ""
        return None
    for own, names in (
        (bool, "true or false"),
        (int | float, "a number"),
        (str, "text"),
        ((datetime, timedelta), "a time"),
    ):
        if issubclass(kind, own):
            fits = isinstance(value, own) and isinstance(value, bool) == (own is bool)
            return None if fits else (f"it is {names}", "there are no conversions")
    return None


def _bare(node: nodes.Node, source: str, scope: Scope) -> Iterator[Problem]:
    """A number or a text that stands as a condition by itself, or as a part of `and`, `or`, `not`."""
    if isinstance(node, nodes.And | nodes.Or):
        yield from _bare(node.left, source, scope)
        yield from _bare(node.right, source, scope)
    elif isinstance(node, nodes.Not):
        yield from _bare(node.node, source, scope)
    elif isinstance(node, nodes.Const) and not isinstance(node.value, bool):
        yield Problem(
            "a literal is always the same as a condition", "compare it with something", None, FindingLevel.WARNING
        )
    else:
        path = path_of(node)
        kind = type_at(path, scope) if path else Any
        if isinstance(kind, type) and (kind is str or issubclass(kind, int | float)) and kind is not bool:
            place = source.find(".".join(path or ()))
            what = "a number" if kind is not str else "text"
            yield Problem(
                f"{'.'.join(path or ())} is {what}, used bare as a condition", "compare it with something",
                place + 1 if place >= 0 else None, FindingLevel.WARNING,
            )  # fmt: skip
