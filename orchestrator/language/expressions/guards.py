"""What a condition says of paths: which of them surely have a value where it holds, and where it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from jinja2 import nodes

from orchestrator.language.expressions.nodes import path_of
from orchestrator.language.expressions.tools import is_literal, literal

Path = tuple[str, ...]
Paths = frozenset[Path]
NO_PATHS: Paths = frozenset()


@dataclass(frozen=True)
class Guards:
    """The paths that are present where a condition holds, and those where it does not."""

    holds: Paths = NO_PATHS
    fails: Paths = NO_PATHS


def guards_of(node: nodes.Node) -> Guards:
    """What is known after a condition was looked at."""
    if isinstance(node, nodes.Not):
        inner = guards_of(node.node)
        return Guards(inner.fails, inner.holds)
    if isinstance(node, nodes.And):
        left, right = guards_of(node.left), guards_of(node.right)
        return Guards(left.holds | right.holds, left.fails & (left.holds | right.fails))
    if isinstance(node, nodes.Or):
        left, right = guards_of(node.left), guards_of(node.right)
        return Guards(left.holds & (left.fails | right.holds), left.fails | right.fails)
    if isinstance(node, nodes.CondExpr):
        return Guards(_of_choice(node, lambda part: guards_of(part).holds))
    maker = _GUARDS.get(type(node))
    return maker(node) if maker else Guards(_needs(node) | _true(node), _not_failed(node))


def _of_choice(node: nodes.CondExpr, known: Callable[[nodes.Node], Paths]) -> Paths:
    """What is known of either side of `x if test else y`; without an else there is nothing there."""
    test = guards_of(node.test)
    then = test.holds | known(node.expr1)
    return then & (test.fails | known(node.expr2)) if node.expr2 else then


def _of_comparison(node: nodes.Compare) -> Guards:
    """A comparison holds only where both sides are there; `== none` asks just that."""
    sides = [node.expr, *(operand.expr for operand in node.ops)]
    if len(node.ops) == 1 and any(_is_none(side) for side in sides):
        there = _all(side for side in sides if not _is_none(side))
        return {"eq": Guards(fails=there), "ne": Guards(holds=there)}.get(node.ops[0].op, Guards())
    if any(_is_none(side) for side in sides):
        return Guards()
    return Guards(_all(sides) | _of_equal(node))


def _of_equal(node: nodes.Compare) -> Paths:
    """What it brings that a path is one certain word, or true."""
    path, other = path_of(node.expr), node.ops[0]
    if path is None or len(node.ops) > 1 or other.op != "eq" or not isinstance(other.expr, nodes.Const):
        return NO_PATHS
    return _true(node.expr) if other.expr.value is True else brought(path, other.expr.value)


def _true(node: nodes.Node) -> Paths:
    """What it brings that a path is true. One that is compared, or asked whether it is there, may be false."""
    path = path_of(node)
    return NO_PATHS if path is None else brought((*path[:-1], "status"), _STATES.get(path[-1]))


def _not_failed(node: nodes.Node) -> Paths:
    """What it brings that a path is not true: that a step has not failed, which is all that one may need to know."""
    path = path_of(node) or ()
    return frozenset({(*path[:2], NOT_FAILED)}) if path[:1] == ("steps",) and path[2:] == ("failed",) else NO_PATHS


NOT_FAILED = "not failed"
"""stands in a path for a step of which only that is known: it brings what a step has that surely ran"""
TRIED = "tried"
"""stands in a path for a step that surely ran, well or not"""
_STATES = {"ok": "succeeded", "failed": "failed"}
_BROUGHT = {"succeeded": "output", "failed": "error"}
"""what a step surely has where its status is this word"""


def brought(path: Path, word: object) -> Paths:
    """The paths that have a value where this one is this word: those of a step, where it is the step's status."""
    if path[:1] != ("steps",) or path[2:] != ("status",) or word not in _BROUGHT:
        return NO_PATHS
    return closed([(*path[:2], _BROUGHT[str(word)])])


def learned(known: Paths, more: Iterable[Path]) -> Paths:
    """What is known with these paths; a step that surely was tried and has not failed has its output."""
    found = known | frozenset(more)
    good = (path[:2] for path in found if path[2:] == (NOT_FAILED,) and (*path[:2], TRIED) in found)
    return found | closed((*step, "output") for step in good)


def _is_none(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Const) and node.value is None


def _of_test(node: nodes.Test) -> Guards:
    value = _needs(node.node)
    if node.name in ("none", "undefined"):
        return Guards(fails=value)
    return Guards(value if node.name == "defined" else value | _all(node.args))


def _all(many: Iterable[nodes.Node]) -> Paths:
    return NO_PATHS.union(*(_needs(one) for one in many))


def _of_default(node: nodes.Filter) -> Guards:
    """`x | default(false)` holds only where x does."""
    empty = len(node.args) == 1 and is_literal(node.args[0]) and not literal(node.args[0])
    if node.name != "default" or node.node is None:
        return Guards(_needs(node))
    return Guards(guards_of(node.node).holds) if empty else Guards()


_GUARDS: Mapping[type[nodes.Node], Callable[..., Guards]] = {
    nodes.Compare: _of_comparison,
    nodes.Test: _of_test,
    nodes.Filter: _of_default,
}


def _needs(node: nodes.Node) -> Paths:
    """The paths that are present where this has a value at all."""
    path = path_of(node)
    if path is not None:
        return _of_path(node, path)
    if isinstance(node, nodes.Filter):
        return _of_filter(node)
    if isinstance(node, nodes.BinExpr) and not isinstance(node, nodes.And | nodes.Or):
        return _needs(node.left) | _needs(node.right)
    if isinstance(node, nodes.Neg | nodes.Pos):
        return _needs(node.node)
    if isinstance(node, nodes.Concat):
        return _all(node.nodes)
    if isinstance(node, nodes.And):
        return _needs(node.left)
    if isinstance(node, nodes.Or):
        return _needs(node.left) & _needs(node.right)
    if isinstance(node, nodes.Getattr | nodes.Getitem):
        return _needs(node.node)
    return _of_choice(node, _needs) if isinstance(node, nodes.CondExpr) else NO_PATHS


def _of_path(node: nodes.Node, path: Path) -> Paths:
    found: set[Path] = {path[: path.index("*")] if "*" in path else path}
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        if isinstance(node, nodes.Getitem):
            found |= _needs(node.arg)
        node = node.node
    return closed(found)


def _of_filter(node: nodes.Filter) -> Paths:
    if node.node is None or node.name == "default":
        return NO_PATHS
    return _needs(node.node) | _all(node.args)


def closed(paths: Iterable[Path]) -> Paths:
    """The paths and all that lead to them: what is below nothing is nothing."""
    return frozenset(path[:length] for path in paths for length in range(1, len(path) + 1))
