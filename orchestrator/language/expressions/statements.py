"""The parts of a template that write: text, `{{ }}`, `{% if %}`, `{% for %}`."""

from __future__ import annotations

from collections.abc import Callable

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
        return _output([_part(part) for part in node.nodes])
    if isinstance(node, nodes.If):
        return _if(node, depth)
    if isinstance(node, nodes.For):
        return _for(node, depth)
    raise ExpressionError(
        f"{{% {type(node).__name__.lower()} %}} is not part of the language", column=node.lineno,
        hint="there are for and if",
    )  # fmt: skip


def _part(node: nodes.Node) -> Closure:
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
    name, items = node.target.name, closure_of(node.iter)
    wanted = closure_of(node.test) if node.test else None
    a_look = 1 + (weight([node.test]) if node.test else 0)
    a_turn = weight(node.body)
    body, otherwise = _all(node.body, depth), _all(node.else_, depth)

    def write(frame: Frame, out: list[str]) -> None:
        values = items(frame)
        if is_absent(values):
            frame.absent(values, "what the loop goes over")
        frame.meter.step(a_look * len(values) if isinstance(values, list | tuple) else 1)
        values = listed_or_raise(values)
        if wanted is not None:
            values = [value for value in values if truth(wanted(frame.inner({name: value}).conditions))]
        if not values:
            otherwise(frame, out)
        for index, value in enumerate(values):
            frame.meter.step(a_turn)
            loop = {"index": index + 1, "first": index == 0, "last": index == len(values) - 1, "length": len(values)}
            body(frame.inner({name: value, "loop": loop}), out)

    return write
