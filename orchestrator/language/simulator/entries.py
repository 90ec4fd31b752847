"""Lists that surely have an entry where a loop goes over them, since the playbook would not come there without one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jinja2 import nodes

from orchestrator.errors import ExpressionError
from orchestrator.language.checking.walk import always_stops_all
from orchestrator.language.expressions import compile_condition, compile_value
from orchestrator.language.expressions.nodes import path_of
from orchestrator.language.model import (
    ForEachStep,
    IfStep,
    PlaybookDocument,
    SetStep,
    Step,
    StopStep,
    every_step,
    inside,
)

Paths = frozenset[tuple[str, ...]]
NONE: Paths = frozenset()
KEEPING = frozenset({"unique", "sort", "reverse", "first"})
"""filters that leave an entry of a list that has one; `first(n)` does where `n` is a literal above 0"""


def loops_with_entries(model: PlaybookDocument) -> Iterator[ForEachStep]:
    """The loops that no test can give an empty list."""
    trigger = model.trigger
    by_alert_alone = trigger.match and not trigger.schedule and not trigger.manual
    yield from _loops(model.steps, _of(str(trigger.match))[0] if by_alert_alone else NONE)
    yield from _loops(model.on_failure, NONE)


def _loops(steps: tuple[Step, ...], known: Paths) -> Iterator[ForEachStep]:
    """Those in a list of steps; `known` are the paths of lists that have an entry where it begins."""
    for step in steps:
        here = _where_it_runs(step, known)
        if isinstance(step, ForEachStep) and _list_of(step.for_each.items) in here:
            yield step
        for below, inner in inside(step):
            yield from _loops(inner, _where_branch(step, below, here) - _given_anew((step,)))
        known = (known | _after(step, known)) - _given_anew((step,))


def _where_it_runs(step: Step, known: Paths) -> Paths:
    known |= _of(step.when)[0] if step.when else NONE
    return known | _of(step.unless)[1] if step.unless else known


def _where_branch(step: Step, below: tuple[str, ...], known: Paths) -> Paths:
    """What is known where a branch begins, but for the variables that the step gives values; an item is another one."""
    if isinstance(step, ForEachStep):
        return frozenset(path for path in known if path[0] not in (step.for_each.as_, "loop"))
    if isinstance(step, IfStep) and below in (("then",), ("else",)):
        return known | _of(step.if_)[below == ("else",)]
    return known


def _after(step: Step, known: Paths) -> Paths:
    """What is known after a step, since the run would have stopped otherwise."""
    if isinstance(step, IfStep) and not step.when and not step.unless and always_stops_all(step.then):
        return _of(step.if_)[1]
    if isinstance(step, StopStep) and step.when and not step.unless:
        return _of(step.when)[1]
    if isinstance(step, StopStep) and step.unless and not step.when:
        return _of(step.unless)[0]
    return NONE


def _given_anew(steps: tuple[Step, ...]) -> Paths:
    """The variables that these steps, or some inside them, give another value."""
    named = (name for step in every_step(steps) if isinstance(step, SetStep) for name in step.set)
    return frozenset(("vars", name) for name in named)


def _list_of(items: str | list[Any]) -> tuple[str, ...] | None:
    """The path of the list that has an entry just where these items have one."""
    if not isinstance(items, str):
        return None
    try:
        node = compile_value(items).node
    except ExpressionError:
        return None
    while isinstance(node, nodes.Filter) and node.name in KEEPING and node.node is not None:
        if node.name == "first" and not _some(node.args):
            return None
        node = node.node
    path = path_of(node)
    return path if path is not None and "*" not in path else None


def _some(arguments: list[nodes.Expr]) -> bool:
    return bool(arguments) and isinstance(arguments[0], nodes.Const) and arguments[0].value > 0


def _of(condition: str) -> tuple[Paths, Paths]:
    """The lists that have an entry where the condition holds, and where it does not."""
    try:
        return _told(compile_condition(condition).node)
    except ExpressionError:
        return NONE, NONE


def _told(node: nodes.Node) -> tuple[Paths, Paths]:
    if isinstance(node, nodes.Not):
        holds, fails = _told(node.node)
        return fails, holds
    if isinstance(node, nodes.And | nodes.Or):
        (left_holds, left_fails), (right_holds, right_fails) = _told(node.left), _told(node.right)
        if isinstance(node, nodes.And):
            return left_holds | right_holds, left_fails & right_fails
        return left_holds & right_holds, left_fails | right_fails
    path = path_of(node)
    return (frozenset({path}) if path is not None else NONE), NONE
