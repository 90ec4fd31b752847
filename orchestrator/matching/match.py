"""Which playbooks an alert starts, each with the reason; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from jinja2 import nodes

from orchestrator.alerts.alert import Alert
from orchestrator.contract.values import Severity
from orchestrator.errors import ExpressionError
from orchestrator.language.expressions import Expression, Reason, plain
from orchestrator.language.expressions.nodes import path_of
from orchestrator.language.expressions.values import text_of
from orchestrator.language.program import Playbook


@dataclass(frozen=True)
class Match:
    """A playbook that the alert starts. `group_key` is None where every alert gets a run of its own.

    One that only `joins` may join an open run, and starts none.
    """

    playbook: Playbook
    reason: Reason
    group_key: str | None
    may_start: bool = True


@dataclass(frozen=True)
class _Needs:
    """What an alert must surely have for the condition to hold: used to look at few playbooks only."""

    anchor: tuple[str, str] | None = None
    least: int = 0
    most: int = 4


class Index:
    """The playbooks, found by what their conditions surely need before any is evaluated."""

    def __init__(self, playbooks: Iterable[Playbook]) -> None:
        self.playbooks = tuple(playbooks)
        self._anchored: dict[tuple[str, str], list[tuple[_Needs, Playbook]]] = {}
        self._by_rank: list[list[Playbook]] = [[] for _ in Severity]
        for playbook in self.playbooks:
            for condition in (playbook.match, playbook.joins):
                if condition is not None:
                    self._add(playbook, _needs(condition))

    def _add(self, playbook: Playbook, needs: _Needs) -> None:
        if needs.anchor is not None:
            self._anchored.setdefault(needs.anchor, []).append((needs, playbook))
        else:
            for rank in range(needs.least, needs.most + 1):
                self._by_rank[rank].append(playbook)

    def candidates(self, alert: Alert) -> list[Playbook]:
        """Every playbook whose condition could hold."""
        rank = alert.severity.rank
        found = list(self._by_rank[rank])
        if self._anchored:
            for anchor in _anchors(alert):
                for needs, playbook in self._anchored.get(anchor, ()):
                    if needs.least <= rank <= needs.most:
                        found.append(playbook)
        return list(dict.fromkeys(found))


def match(alert: Alert, index: Index) -> list[Match]:
    """The playbooks that this alert starts, in the order of their names. An error in a condition makes it false."""
    names = {"alert": alert, "now": alert.time}
    chosen = []
    for playbook in index.candidates(alert):
        starts = _holds(playbook.match, names)
        if not starts and not _holds(playbook.joins, names):
            continue
        key = group_key(playbook, names)
        if key is None and not starts:  # without a key there is no run that it could join
            continue
        condition = playbook.match if starts else playbook.joins
        assert condition is not None  # noqa: S101 - it has just held
        chosen.append(Match(playbook, condition.explain(names), key, may_start=starts))
    return sorted(chosen, key=lambda one: one.playbook.name)


def _holds(condition: Expression | None, names: dict[str, Any]) -> bool:
    try:
        return condition is not None and condition.test(names)
    except ExpressionError:
        return False


def group_key(playbook: Playbook, names: dict[str, Any]) -> str | None:
    """What groups repeats; none where the playbook names no key, or the alert has no value for it."""
    if playbook.key is None:
        return None
    try:
        return text_of(plain(playbook.key.value(names)))[:1024]
    except ExpressionError:
        return None


def _anchors(alert: Alert) -> Iterator[tuple[str, str]]:
    for technique in alert.attack:
        yield "attack", technique
    if alert.rule.id is not None:
        yield "rule.id", alert.rule.id
    yield "product.name", alert.product.name


def _needs(condition: Expression) -> _Needs:
    anchor, least, most = None, 0, 4
    for term in _terms(condition.node):
        anchor = anchor or _anchor(term)
        low, high = _ranks(term)
        least, most = max(least, low), min(most, high)
    return _Needs(anchor, least, most)


def _terms(node: nodes.Node) -> Iterator[nodes.Node]:
    """The parts that must all hold."""
    if isinstance(node, nodes.And):
        yield from _terms(node.left)
        yield from _terms(node.right)
    else:
        yield node


def _anchor(term: nodes.Node) -> tuple[str, str] | None:
    """A literal that the alert surely has to carry."""
    if not isinstance(term, nodes.Compare) or len(term.ops) != 1:
        return None
    left, operand = term.expr, term.ops[0]
    path = path_of(operand.expr) if operand.op == "in" else path_of(left)
    literal = left if operand.op == "in" else operand.expr
    if not isinstance(literal, nodes.Const) or not isinstance(literal.value, str):
        return None
    if operand.op == "in" and path == ("alert", "attack"):
        return "attack", literal.value
    if operand.op == "eq" and path in (("alert", "rule", "id"), ("alert", "product", "name")):
        return ".".join(path[1:]), literal.value
    return None


def _ranks(term: nodes.Node) -> tuple[int, int]:
    """The severities that a term leaves, as ranks."""
    if (
        not isinstance(term, nodes.Compare)
        or len(term.ops) != 1
        or path_of(term.expr) != ("alert", "severity")
        or not isinstance(term.ops[0].expr, nodes.Const)
    ):
        return 0, 4
    try:
        rank = Severity.parse(str(term.ops[0].expr.value)).rank
    except ValueError:
        return 0, 4
    ranges = {"eq": (rank, rank), "gteq": (rank, 4), "gt": (rank + 1, 4), "lteq": (0, rank), "lt": (0, rank - 1)}
    return ranges.get(term.ops[0].op, (0, 4))
