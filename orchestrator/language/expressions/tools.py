"""Filters and tests where they stand in an expression: looked up, checked before they run, applied."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from jinja2 import nodes

from orchestrator.errors import ExpressionError, ValueAbsent
from orchestrator.language.expressions.filters.registry import ALL, FILTERS, TESTS, Tool, load
from orchestrator.language.expressions.frame import Closure, Frame
from orchestrator.language.expressions.values import is_absent, truth

load()
DURATIONS = frozenset({"seconds", "minutes", "hours", "days"})
"""filters that may also be called, since `days(3)` is what people write"""
Compile = Callable[[nodes.Node], Closure]


def filter_closure(node: nodes.Filter, compiled: Compile) -> Closure:
    """`x | filter(...)`."""
    if node.node is None:
        raise ExpressionError("filter blocks are not part of the language")
    inner = compiled(node.node)
    if node.name == "default":
        return _default(node, inner, compiled)
    tool = find(FILTERS, node.name, "filter")
    arguments = [compiled(one) for one in checked_arguments(node, tool)]

    def apply(frame: Frame) -> Any:
        value = inner(frame)
        if is_absent(value):
            return frame.absent(value, f"what `{tool.name}` is given")
        given = [argument(frame) for argument in arguments]
        for one in given:
            if is_absent(one):
                return frame.absent(one, f"an argument of `{tool.name}`")
        frame.meter.step()
        return tool.function(frame.meter, value, *given)

    return apply


def test_closure(node: nodes.Test, compiled: Compile) -> Closure:
    """`x is test(...)`."""
    tool = find(TESTS, node.name, "test")
    inner = compiled(node.node)
    arguments = [compiled(one) for one in checked_arguments(node, tool)]

    def apply(frame: Frame) -> bool:
        value = inner(frame)
        given = [argument(frame) for argument in arguments]
        absent = next((one for one in (value, *given) if is_absent(one)), False)
        if absent is not False and not tool.of_nothing:
            frame.absent(absent, f"what `is {tool.name}` is given")
            return False
        frame.meter.step()
        return truth(tool.function(frame.meter, value, *given))

    return apply


def call_closure(node: nodes.Call, compiled: Compile, shown: str) -> Closure:
    """`now()` and `days(3)`, the only calls that there are."""
    name = called(node)
    if name == "now" and not node.args:
        return lambda frame: frame.names["now"] if "now" in frame.names else frame.absent(None, "now()")
    if name in DURATIONS and len(node.args) == 1:
        return filter_closure(nodes.Filter(node.args[0], name, [], [], None, None), compiled)
    raise ExpressionError(f"{shown} cannot be called", hint="there are filters instead: `x | filter`")


def called(node: nodes.Call) -> str | None:
    """The name of the function, where it is one and is called plainly."""
    plainly = not (node.kwargs or node.dyn_args or node.dyn_kwargs)
    return node.node.name if isinstance(node.node, nodes.Name) and plainly else None


def _default(node: nodes.Filter, inner: Closure, compiled: Compile) -> Closure:
    if len(node.args) != 1 or node.kwargs or node.dyn_args or node.dyn_kwargs:
        raise ExpressionError("default takes one value: `| default(0)`")
    otherwise = compiled(node.args[0])

    def apply(frame: Frame) -> Any:
        try:
            value = inner(frame)
        except ValueAbsent:
            return otherwise(frame)
        return otherwise(frame) if is_absent(value) else value

    return apply


def find(tools: dict[str, Tool], name: str, kind: str) -> Tool:
    """The filter or test of this name; raises with the nearest right one."""
    if name not in tools:
        near = difflib.get_close_matches(name, [*tools, "default"] if kind == "filter" else tools, n=1)
        raise ExpressionError(f"no {kind} is named {name!r}", hint=f"did you mean {near[0]}?" if near else "")
    return tools[name]


def checked_arguments(node: nodes.Filter | nodes.Test, tool: Tool) -> list[nodes.Expr]:
    """What is written in the brackets, once everything that can be known of it is right."""
    given = [*node.args, *(pair.value for pair in node.kwargs if tool.name == "map" and pair.key == "attribute")]
    if len(given) != len(node.args) + len(node.kwargs) or node.dyn_args or node.dyn_kwargs:
        raise ExpressionError(f"{tool.name} takes its arguments by place")
    _check(tool, given)
    return given


def _check(tool: Tool, given: list[nodes.Expr]) -> None:
    if tool.applies is not None and len(given) > tool.applies:
        _check_test(tool, given, tool.applies)
    elif not tool.least <= len(given) <= len(tool.arguments):
        raise ExpressionError(f"{tool.name} takes {_count(tool)}, found {len(given)}")
    if not all(is_literal(one) for one in given[: tool.literals]):
        which = "literals only" if tool.literals >= ALL else "names as literals"
        raise ExpressionError(f"{tool.name} takes {which}, so that it can be checked before it runs")
    if tool.check is not None and all(is_literal(one) for one in given):
        _asked(tool, [literal(one) for one in given])


def _asked(tool: Tool, given: list[Any]) -> None:
    """What the tool itself has against its arguments, with its name."""
    try:
        tool.check(*given) if tool.check is not None else None
    except ExpressionError as error:
        raise type(error)(f"{tool.name}: {error.message}", hint=error.hint) from None


def _check_test(tool: Tool, given: list[nodes.Expr], place: int) -> None:
    """The test that a filter applies to each item, with its own arguments."""
    name = literal(given[place]) if is_literal(given[place]) else None
    if not isinstance(name, str):
        raise ExpressionError(f"{tool.name} takes the name of a test as a literal text")
    _check(find(TESTS, name, "test"), given[place + 1 :])


def _count(tool: Tool) -> str:
    least, most = tool.least, len(tool.arguments)
    if most == 0:
        return "no arguments"
    return f"{least} to {most} arguments" if least != most else f"{most} argument{'s' if most > 1 else ''}"


def is_literal(node: nodes.Node) -> bool:
    """Whether the value stands in the source."""
    if isinstance(node, nodes.List | nodes.Tuple):
        return all(is_literal(item) for item in node.items)
    return isinstance(node, nodes.Const) or _is_negative(node)


def _is_negative(node: nodes.Node) -> bool:
    """Whether it is a number that is written with a minus before it."""
    if not (isinstance(node, nodes.Neg) and isinstance(node.node, nodes.Const)):
        return False
    return isinstance(node.node.value, int | float) and not isinstance(node.node.value, bool)


def literal(node: nodes.Node) -> Any:
    """The value that stands in the source."""
    if isinstance(node, nodes.List | nodes.Tuple):
        return [literal(item) for item in node.items]
    if isinstance(node, nodes.Neg):
        return -literal(node.node)
    return node.value if isinstance(node, nodes.Const) else None
