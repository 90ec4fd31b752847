"""The type of every expression, found without running it; what can fail on a type is said on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from jinja2 import nodes

from orchestrator.errors import ExpressionError, FindingLevel
from orchestrator.language.expressions.filters.registry import FILTERS, TESTS, Tool
from orchestrator.language.expressions.fitting import unfit
from orchestrator.language.expressions.guards import Paths, guards_of, learned
from orchestrator.language.expressions.kinds import (
    ABSENT,
    NONE,
    RAISED,
    TEXT,
    TRUTH,
    UNKNOWN,
    Const,
    MapOf,
    Record,
    Type,
    as_type,
    constant,
    list_of,
    near,
    said,
    union,
)
from orchestrator.language.expressions.limits import Meter
from orchestrator.language.expressions.nodes import path_of
from orchestrator.language.expressions.relations import UNNAMED, Mismatch, equality, membership, ordering
from orchestrator.language.expressions.results import countable, falsy, signed, truthy, unwritable, worked
from orchestrator.language.expressions.signatures import Use, field_of
from orchestrator.language.expressions.tools import DURATIONS, called, is_literal, literal

Tell = Callable[[int, str, str, FindingLevel], None]
"""Takes the place in the source, the mistake, the likely fix, and how bad it is."""


@dataclass(frozen=True)
class Env:
    """What is known where a node stands: names, paths that surely have a value, and whether absence is false here."""

    names: Mapping[str, Any]
    present: Paths
    lenient: bool

    def knowing(self, present: Paths) -> Env:
        """The same with more paths that have a value."""
        return replace(self, present=learned(self.present, present)) if present else self

    @property
    def conditions(self) -> Env:
        """The same where a condition stands inside."""
        return self if self.lenient else replace(self, lenient=True)

    def inner(self, more: Mapping[str, Any]) -> Env:
        """The same with further names, which may hide those outside."""
        present = frozenset(path for path in self.present if path[0] not in more)
        return replace(self, names={**self.names, **more}, present=present)


class Inference:
    """Finds types. Each rule takes a node and what is known there, and gives the type of its value."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def of(self, node: nodes.Node, env: Env) -> Type:
        """The type of an expression's value."""
        return _RULES[type(node)](self, node, env)

    def condition(self, node: nodes.Node, env: Env) -> Type:
        """The same of what is asked whether it holds; a part that means little by itself is a warning."""
        if isinstance(node, nodes.Not):
            return _negated(self.condition(node.node, env))
        if isinstance(node, nodes.And | nodes.Or):
            return self.joined(node, env, self.condition)
        found = self.of(node, env)
        self._bare(node, found)
        return found

    def say(self, node: nodes.Node, message: str, hint: str = "") -> None:
        """Tell what is wrong with a node."""
        self._tell(place_of(node), message, hint, FindingLevel.ERROR)

    def mismatched(self, node: nodes.Node, mismatch: Mismatch | None, subject: str) -> bool:
        """Tell why two types do not go together, if they do not."""
        if mismatch is not None:
            self.say(node, mismatch.about(subject), mismatch.hint)
        return mismatch is not None

    def sayer(self, node: nodes.Node) -> Callable[[str, str], None]:
        """What tells mistakes of this node."""
        return lambda message, hint: self.say(node, message, hint)

    def _bare(self, node: nodes.Node, found: Type) -> None:
        shown, message, hint = shown_of(node), "", "compare it with something"
        if isinstance(node, nodes.Const) and not isinstance(node.value, bool):
            message = "a literal is always the same as a condition"
        elif is_plain_path(node) and found.kinds and not falsy(found).kinds:
            message, hint = f"{shown} is always there, so this always holds", "ask for a field of it, or compare it"
        elif is_plain_path(node) and (what := countable(found)):
            message = f"{shown} is {what}, used bare as a condition"
            hint += f", or ask `{shown} is defined`" if found.lacks else ""
        if message:
            self._tell(place_of(node), message, hint, FindingLevel.WARNING)

    def joined(self, node: nodes.And | nodes.Or, env: Env, look: Callable[[nodes.Node, Env], Type]) -> Type:
        """`and`, `or`: one of the two values; the right one is looked at where the left one did not decide."""
        left, guards = look(node.left, env), guards_of(node.left)
        if isinstance(node, nodes.And):
            return falsy(left) | look(node.right, env.knowing(guards.holds))
        return truthy(left) | look(node.right, env.knowing(guards.fails))

    def used(self, tool: Tool, node: nodes.Filter | nodes.Test, value: Type, env: Env) -> Type:
        """What a filter or test gives where it is used; nothing where it is given nothing."""
        arguments = [*node.args, *(pair.value for pair in node.kwargs)]
        types = [self.of(argument, env) for argument in arguments]
        found = self.applied(_Applied(tool, node, value.there, arguments, types))
        ignored = frozenset({"none", "absent"}) if tool.of_nothing else frozenset()
        lacking = bool(value.lacks - ignored) or any(one.lacks for one in types)
        if isinstance(node, nodes.Test):
            return TRUTH | RAISED if lacking and not env.lenient else TRUTH
        return found | (ABSENT if env.lenient else RAISED) if lacking else found

    def applied(self, one: _Applied) -> Type:
        """The same where all values are there."""
        tool, wrong = one.tool, False
        if (mismatch := unfit(tool.takes, one.value)) is not None:
            wrong = True
            found = f"and {one.of} is {said(one.value)}" if one.of else found_in(one.node.node, one.value)
            self.say(one.node, f"{one.shown} takes {said(tool.takes)}, {found}", mismatch.hint)
        for wanted, argument, given in zip(tool.arguments, one.arguments, one.types, strict=False):
            if (mismatch := unfit(wanted, given)) is not None:
                wrong = True
                told = f"{one.shown} takes {said(wanted)} in its brackets, {found_in(argument, given)}"
                self.say(argument, told, mismatch.hint)
        if not wrong:
            self._tried(one)
        if isinstance(tool.gives, Type):
            return tool.gives
        return UNKNOWN if wrong else tool.gives(self._use(one))

    def _tried(self, one: _Applied) -> None:
        """What stands in the source as it is, and is looked at with literals alone, is tried."""
        known = [kind.value for kind in one.value.kinds if isinstance(kind, Const)]
        if len(known) != 1 or not all(map(is_literal, one.arguments)):
            return
        try:
            one.tool.function(Meter(), known[0], *map(literal, one.arguments))
        except (ExpressionError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            message, hint = getattr(error, "message", str(error)), getattr(error, "hint", "")
            self.say(one.node, f"{one.shown} of {said(constant(known[0]))}: {message}", hint)

    def _use(self, one: _Applied) -> Use:
        def test(place: int, value: Type) -> None:
            name, after = literal(one.arguments[place]), place + 1
            tool = TESTS[name]
            given = Type() if tool.of_nothing else value.there
            of = f"`{literal(one.arguments[0])}`" if place else f"an item of {shown}"
            self.applied(_Applied(tool, one.node, given, one.arguments[after:], one.types[after:], of))

        shown = one.of or (shown_of(one.node.node) if one.node.node is not None else UNNAMED)
        shown = "the list" if shown == UNNAMED else shown
        return Use(
            one.value,
            tuple(given.there for given in one.types),
            tuple(literal(argument) if is_literal(argument) else None for argument in one.arguments),
            self.sayer(one.node),
            test,
            shown,
        )


@dataclass(frozen=True)
class _Applied:
    """A filter or test with what it is given.

    Where another filter applies a test, the node is that filter, and `of` what messages call the value.
    """

    tool: Tool
    node: nodes.Filter | nodes.Test
    value: Type
    arguments: list[nodes.Expr]
    types: list[Type]
    of: str = ""

    @property
    def shown(self) -> str:
        name = self.tool.name
        return f"`| {name}`" if FILTERS.get(name) is self.tool else f"`is {name}`"


def _name(inference: Inference, node: nodes.Name, env: Env) -> Type:
    if node.name not in env.names:
        known = f"known: {', '.join(sorted(env.names)[:12])}; text needs quotes"
        inference.say(node, f"no name {node.name!r} here", near(node.name, env.names) or known)
        return UNKNOWN
    found = as_type(env.names[node.name])
    return found.there if (node.name,) in env.present else found


def _field(inference: Inference, node: nodes.Getattr | nodes.Getitem, env: Env) -> Type:
    base, path = inference.of(node.node, env), path_of(node)
    key = constant(node.attr) if isinstance(node, nodes.Getattr) else inference.of(node.arg, env)
    if path is not None and path[0] == "steps" and len(path) == 2 and _no_step(env.names.get("steps"), path[1]):
        return UNKNOWN  # who checks the steps says more about these
    shown = shown_of(node.node) if path is None else ".".join(one for one in path[:-1] if one != "*")
    found = field_of(base, key, _sayer_of_field(inference, node), shown)
    return found.there if path in env.present else found


def _sayer_of_field(inference: Inference, node: nodes.Getattr | nodes.Getitem) -> Callable[[str, str], None]:
    """Tells the filter that may be meant: `x.lower` is `x | lower`."""
    meant = f"write `| {node.attr}`" if isinstance(node, nodes.Getattr) and node.attr in FILTERS else ""
    return lambda message, hint: inference.say(node, message, hint or meant)


def _no_step(steps: Any, name: str) -> bool:
    return isinstance(steps, Mapping) and name not in steps


def _list(inference: Inference, node: nodes.List | nodes.Tuple, env: Env) -> Type:
    items = [inference.of(item, env) for item in node.items]
    found = list_of(union(_kept(item) for item in items))
    lacking = any(item.lacks for item, node in zip(items, node.items, strict=True) if not _is_none(node))
    return found | RAISED if lacking and not env.lenient else found


def _kept(item: Type) -> Type:
    """What stands in a list or object: none where there was nothing."""
    return item.there | NONE if item.lacks else item


def _dict(inference: Inference, node: nodes.Dict, env: Env) -> Type:
    keys = [inference.of(pair.key, env) for pair in node.items]
    values = [inference.of(pair.value, env) for pair in node.items]
    for pair, key in zip(node.items, keys, strict=True):
        if unfit(TEXT, key) is not None or key.lacks:
            inference.say(pair.key, f"the names in an object are text, found {said(key)}")
    names = [pair.key.value for pair in node.items if isinstance(pair.key, nodes.Const)]
    if len(names) == len(values):
        found = Type((Record(dict(zip(names, map(_kept, values), strict=True))),))
    else:
        found = Type((MapOf(union(map(_kept, values))),))
    raised = any(value.lacks - {"none"} for value in values)
    return found | RAISED if raised and not env.lenient else found


def _negated(inner: Type) -> Type:
    return TRUTH | RAISED if "raised" in inner.lacks else TRUTH


def _choice(inference: Inference, node: nodes.CondExpr, env: Env) -> Type:
    inference.condition(node.test, env.conditions)
    guards = guards_of(node.test)
    then = inference.of(node.expr1, env.knowing(guards.holds))
    return then | (inference.of(node.expr2, env.knowing(guards.fails)) if node.expr2 else NONE)


def _comparison(inference: Inference, node: nodes.Compare, env: Env) -> Type:
    left, first = node.expr, inference.of(node.expr, env)
    lacking = False
    for operand in node.ops:
        second = inference.of(operand.expr, env)
        asks = operand.op in ("eq", "ne") and any(_is_none(side) for side in (left, operand.expr))
        if not asks:
            _compared(inference, operand, left, first, second)
            lacking = lacking or bool(first.lacks or second.lacks)
        left, first = operand.expr, second
    return TRUTH | RAISED if lacking and not env.lenient else TRUTH


def _compared(inference: Inference, operand: nodes.Operand, left: nodes.Expr, first: Type, second: Type) -> None:
    if operand.op in ("in", "notin"):
        _looked_for(inference, operand.expr, left, first, second)
        return
    mismatch = equality(first, second) if operand.op in ("eq", "ne") else ordering(operand.op, first, second)
    literal_first = isinstance(left, nodes.Const)
    node, other = (left, operand.expr) if literal_first else (operand.expr, left)
    inference.mismatched(node, mismatch, shown_of(other))


def _looked_for(inference: Inference, right: nodes.Expr, left: nodes.Expr, first: Type, second: Type) -> None:
    """`in`: of a list that is written out, each literal could be found."""
    literals = right.items if isinstance(right, nodes.List | nodes.Tuple) else []
    wrong = False
    for item in literals:
        if isinstance(item, nodes.Const):
            wrong |= inference.mismatched(item, equality(first, constant(item.value)), shown_of(left))
    subject = f"an item of {shown_of(right)}" if second.item.kinds else shown_of(right)
    if not wrong:
        inference.mismatched(left, membership(first, second), shown_of(left) if literals else subject)


def _is_none(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Const) and node.value is None


def _arithmetic(inference: Inference, node: nodes.BinExpr, env: Env) -> Type:
    left, right = inference.of(node.left, env), inference.of(node.right, env)
    result = worked(type(node).__name__, left, right)
    if isinstance(node, nodes.Div | nodes.FloorDiv | nodes.Mod) and is_literal(node.right) and literal(node.right) == 0:
        result = Mismatch("nothing can be divided by zero")
    elif isinstance(result, Mismatch):
        named = next((one for one in (node.left, node.right) if path_of(one) is not None), node)
        result = replace(result, reason=result.about(shown_of(named)))
    return _result(inference, node, result, env, (left, right))


def _sign(inference: Inference, node: nodes.UnaryExpr, env: Env) -> Type:
    if is_literal(node):
        return constant(literal(node))
    inner = inference.of(node.node, env)
    return _result(inference, node, signed(inner), env, (inner,))


def _result(inference: Inference, node: nodes.Expr, result: Type | Mismatch, env: Env, of: tuple[Type, ...]) -> Type:
    if isinstance(result, Mismatch):
        inference.say(node, result.reason, result.hint)
        result = UNKNOWN
    if not any(one.lacks for one in of):
        return result
    return result | (ABSENT if env.lenient else RAISED)


def _concat(inference: Inference, node: nodes.Concat, env: Env) -> Type:
    parts = [inference.of(part, env) for part in node.nodes]
    for part, found in zip(node.nodes, parts, strict=True):
        inference.mismatched(part, unwritable(found), shown_of(part))
    return _result(inference, node, TEXT, env, tuple(parts))


def _filter(inference: Inference, node: nodes.Filter, env: Env) -> Type:
    assert node.node is not None  # noqa: S101 - compiled, so it is no filter block
    value = inference.of(node.node, env)
    if node.name == "default":
        return value.there | inference.of(node.args[0], env)
    return inference.used(FILTERS[node.name], node, value, env)


def _call(inference: Inference, node: nodes.Call, env: Env) -> Type:
    name = called(node)
    if name in DURATIONS:
        return _filter(inference, nodes.Filter(node.args[0], name, [], [], None, None, lineno=node.lineno), env)
    return as_type(env.names["now"]) if "now" in env.names else ABSENT


Rule = Callable[[Inference, Any, Env], Type]
_RULES: Mapping[type[nodes.Node], Rule] = {
    nodes.Name: _name,
    nodes.Const: lambda inference, node, env: constant(node.value),
    nodes.Getattr: _field,
    nodes.Getitem: _field,
    nodes.List: _list,
    nodes.Tuple: _list,
    nodes.Dict: _dict,
    nodes.And: lambda inference, node, env: inference.joined(node, env, inference.of),
    nodes.Or: lambda inference, node, env: inference.joined(node, env, inference.of),
    nodes.Not: lambda inference, node, env: _negated(inference.of(node.node, env)),
    nodes.CondExpr: _choice,
    nodes.Compare: _comparison,
    **dict.fromkeys((nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod), _arithmetic),
    **dict.fromkeys((nodes.Neg, nodes.Pos), _sign),
    nodes.Concat: _concat,
    nodes.Filter: _filter,
    nodes.Test: lambda inference, node, env: inference.used(TESTS[node.name], node, inference.of(node.node, env), env),
    nodes.Call: _call,
}


def place_of(node: nodes.Node) -> int:
    """Where in the source people look for a node: a field at its name, a comparison at its left side."""
    if isinstance(node, nodes.Compare):
        return place_of(node.expr)
    if isinstance(node, nodes.Getitem):
        return place_of(node.arg)
    if isinstance(node, nodes.Getattr):
        return node.lineno + 1  # after the dot
    return node.lineno or 1


def found_in(node: nodes.Node | None, kind: Type) -> str:
    """What stands where something else is wanted, with its path where it has one."""
    path = path_of(node) if node is not None else None
    return f"and {shown_of(node)} is {said(kind.there)}" if node is not None and path else f"found {said(kind.there)}"


def is_plain_path(node: nodes.Node) -> bool:
    """Whether it is a chain of names."""
    path = path_of(node)
    return path is not None and "*" not in path


def shown_of(node: nodes.Node) -> str:
    """A node in a message: its path where it names one."""
    path = path_of(node)
    if path is not None:
        return ".".join(name for name in path if name != "*")
    if isinstance(node, nodes.Const):
        return repr(node.value) if isinstance(node.value, str) else str(node.value).lower()
    if isinstance(node, nodes.Filter):
        return _shown_of_filter(node)
    return "now()" if isinstance(node, nodes.Call) and called(node) == "now" else UNNAMED


def _shown_of_filter(node: nodes.Filter) -> str:
    """What a filter gives, with the value that the first of its chain is given."""
    names: list[str] = []
    inner: nodes.Expr = node
    while isinstance(inner, nodes.Filter) and inner.node is not None:
        of = f"({shown_of(inner.args[0])})" if inner.name == "map" and inner.args else ""
        names.append(f"| {inner.name}{of}")
        inner = inner.node
    path = shown_of(inner) if path_of(inner) is not None else ""
    return f"what `{' '.join([path, *reversed(names)]).strip()}` gives"
