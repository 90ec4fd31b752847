"""The parts of a template that write: text, `{{ }}`, `{% if %}`, `{% for %}`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import nodes

from orchestrator.errors import ExpressionError
from orchestrator.language.expressions.frame import Closure, Frame
from orchestrator.language.expressions.limits import DEPTH
from orchestrator.language.expressions.nodes import closure_of
from orchestrator.language.expressions.parse import weight
from orchestrator.language.expressions.values import is_absent, listed_or_raise, text_of, truth

Writer = Callable[[Frame, list[str]], None]


def writer_of(node: nodes.Node, depth: int = 0) -> Writer:
    """What writes a part of a template into the list that it is given."""
    if depth > DEPTH:
        raise ExpressionError(f"nested more than {DEPTH} deep")
    if isinstance(node, nodes.Output):
        return _output(node)
    if isinstance(node, nodes.If):
        return _if(node, depth)
    if isinstance(node, nodes.For):
        return _for(node, depth)
    word = "set" if isinstance(node, nodes.Assign | nodes.AssignBlock) else type(node).__name__.lower()
    hint = "give the value a name in a step `set:` before" if word == "set" else "there are for and if"
    raise ExpressionError(f"{{% {word} %}} is not part of the language", column=node.lineno, hint=hint)


def _output(node: nodes.Output) -> Writer:
    parts = [part.data if isinstance(part, nodes.TemplateData) else closure_of(part) for part in node.nodes]

    def write(frame: Frame, out: list[str]) -> None:
        out += frame.meter.texts([part if isinstance(part, str) else text_of(part(frame)) for part in parts])

    return write


def _all(body: list[nodes.Node], depth: int) -> Writer:
    parts = [writer_of(node, depth + 1) for node in body]

    def write(frame: Frame, out: list[str]) -> None:
        for part in parts:
            part(frame, out)

    return write


def _if(node: nodes.If, depth: int) -> Writer:
    branches = [(closure_of(one.test), _all(one.body, depth)) for one in (node, *node.elif_)]
    otherwise = _all(node.else_, depth)

    def write(frame: Frame, out: list[str]) -> None:
        for test, body in branches:
            if truth(test(frame.conditions)):
                body(frame, out)
                return
        otherwise(frame, out)

    return write


def _for(node: nodes.For, depth: int) -> Writer:
    if not isinstance(node.target, nodes.Name) or node.recursive:
        raise ExpressionError("a loop has one name: {% for x in list %}", column=node.lineno)
    name, items, choose = node.target.name, closure_of(node.iter), _chosen(node, node.target.name)
    body, otherwise = _all(node.body, depth), _all(node.else_, depth)
    a_turn, asks = weight(node.body), _ask_for_loop(node.body)

    def write(frame: Frame, out: list[str]) -> None:
        values = choose(frame, items(frame))
        if not values:
            otherwise(frame, out)
        own = dict(frame.names)
        inner = frame.inner(own)
        for index, value in enumerate(values):
            frame.meter.step(a_turn)
            own[name] = value
            if asks:
                own["loop"] = _place(index, len(values))
            body(inner, out)

    return write


def _ask_for_loop(body: list[nodes.Node]) -> bool:
    return any(found.name == "loop" for part in body for found in part.find_all(nodes.Name))


def _place(index: int, count: int) -> dict[str, Any]:
    """What `loop` is in a turn."""
    return {"index": index + 1, "first": index == 0, "last": index == count - 1, "length": count}


def _chosen(node: nodes.For, name: str) -> Callable[[Frame, Any], list[Any]]:
    """The items that a loop goes over."""
    wanted = closure_of(node.test) if node.test else None
    a_look = 1 + (weight([node.test]) if node.test else 0)

    def choose(frame: Frame, values: Any) -> list[Any]:
        if is_absent(values):
            frame.absent(values, "what the loop goes over")
        frame.meter.step(a_look * len(values) if isinstance(values, list | tuple) else 1)
        found = listed_or_raise(values)
        return found if wanted is None else [value for value in found if holds(frame, wanted, value)]

    def holds(frame: Frame, test: Closure, value: Any) -> bool:
        return truth(test(frame.inner({**frame.names, name: value}).conditions))

    return choose
