"""Which part of a parameter may have no value: what an author has to guard."""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import nodes

from orchestrator.language.expressions.guards import guards_of
from orchestrator.language.expressions.inference import Env, Inference
from orchestrator.language.expressions.nodes import path_of

_QUIET = Inference(lambda place, message, hint, level: None)


def lacking(node: nodes.Node, env: Env) -> Iterator[nodes.Node]:
    """The smallest parts that may have no value and so leave the whole without one."""
    if not _QUIET.of(node, env).lacks:
        return
    parts = [] if path_of(node) is not None else _parts(node, env)
    inner = [one for part, there in parts for one in lacking(part, there)]
    yield from inner or [node]


def _parts(node: nodes.Node, env: Env) -> Iterator[tuple[nodes.Node, Env]]:
    """What the value of a node depends on, each with what is known there."""
    if isinstance(node, nodes.CondExpr):
        guards = guards_of(node.test)
        yield node.expr1, env.knowing(guards.holds)
        if node.expr2:
            yield node.expr2, env.knowing(guards.fails)
    elif isinstance(node, nodes.And | nodes.Or):
        guards = guards_of(node.left)
        yield node.left, env
        yield node.right, env.knowing(guards.holds if isinstance(node, nodes.And) else guards.fails)
    elif isinstance(node, nodes.Filter) and node.name == "default":
        yield node.args[0], env
    else:
        for part in node.iter_child_nodes():
            yield from _children(part, env)


def _children(part: nodes.Node, env: Env) -> Iterator[tuple[nodes.Node, Env]]:
    """An expression, or those inside what is none by itself: an operand, a pair."""
    if isinstance(part, nodes.Expr):
        yield part, env
    else:
        for inner in part.iter_child_nodes():
            yield from _children(inner, env)
