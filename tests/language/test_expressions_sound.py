"""What the checker lets through: found by trying many, such an expression never fails on a type when it runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from orchestrator.alerts.alert import Alert, Observable, SeverityField, Status, User
from orchestrator.contract.values import AccountName, Domain, FileHash, FileRef, HostName, IpAddress, Network, Severity
from orchestrator.errors import ExpressionError, FindingLevel, LimitExceeded, ValueAbsent, WrongType
from orchestrator.language.calendars import Calendar
from orchestrator.language.expressions import Expression, check_types, compile_condition, compile_value
from orchestrator.language.expressions.filters.registry import FILTERS, TESTS, Tool
from orchestrator.language.expressions.kinds import ListOf, Type, as_type, is_number, is_text

NOW = datetime(2026, 5, 6, 10, tzinfo=UTC)
FULL = Alert.model_validate(
    {
        "id": "1", "key": "t/1", "time": NOW, "severity": "high", "title": "SSH 1.2.3.4 http://x.example/a",
        "attack": ["T1110", "T1071.001"], "source": {"ip": "203.0.113.7", "port": 22, "host": "h1", "user": "bob"},
        "target": {"ip": "::1"}, "user": {"name": "alice", "mail": "a@b.example"}, "host": {"name": "web-1"},
        "file": {"sha256": "a" * 64, "size": 3}, "process": {"name": "x", "pid": 4}, "url": "http://a.example/x",
        "domain": "a.example.co.uk", "description": "aGk=", "confidence": 50, "case": "C",
        "rule": {"id": "r", "name": "n"}, "product": {"name": "Suricata"},
        "observables": [{"type": "ip", "value": "203.0.113.7"}, {"type": "domain", "value": "evil.example"}],
    }
)  # fmt: skip
SPARSE = Alert.model_validate(
    {"id": "1", "key": "t/1", "time": NOW, "severity": "low", "title": "", "product": {"name": "S"}}
)
OFFICE = Calendar.model_validate({"tz": "Europe/Berlin", "hours": {"monday": [["08:00", "17:00"]]}})


class Look(BaseModel):
    """What an action may have given: most of it optional."""

    score: int = 0
    name: str | None = None
    tags: tuple[str, ...] = ()
    severity: SeverityField | None = None
    seen: datetime | None = None
    user: User | None = None
    kind: Literal["a", "b"] = "a"


LOOK = Look.model_validate(
    {"score": 3, "name": "q", "tags": ["a"], "severity": "low", "seen": NOW, "user": {"name": "z"}}
)
WORLD: dict[str, tuple[Any, list[Any]]] = {
    "alert": (Alert, [FULL, SPARSE]),
    "now": (datetime, [NOW]),
    "whole": (int, [0, 1, -5, 2**62]),
    "part": (float, [0.0, 1.5, -1e300]),
    "text": (str, ["", "x", "10", "1.2.3.4", "high", "aGk=", "http://a.example:80/x", "2026-01-01T00:00:00Z", "[1]"]),
    "truth": (bool, [True, False]),
    "address": (IpAddress, [IpAddress("1.2.3.4"), IpAddress("::1")]),
    "domain": (Domain, [Domain("a.example"), Domain("co.uk")]),
    "account": (AccountName, [AccountName("bob")]),
    "host": (HostName, [HostName("web-1")]),
    "digest": (FileHash, [FileHash("a" * 64), FileHash("b" * 32)]),
    "network": (Network, [Network("10.0.0.0/8")]),
    "severity": (Severity, list(Severity)),
    "time": (datetime, [NOW, datetime(2020, 1, 1)]),  # noqa: DTZ001 - what a source without a zone gives
    "duration": (timedelta, [timedelta(hours=3), timedelta(0), timedelta(days=-1)]),
    "status": (Status, list(Status)),
    "choice": (Literal["a", "b"], ["a", "b"]),
    "numbers": (list[int], [[], [1, 2, 1], [3]]),
    "words": (list[str], [[], ["b", "a", "b"], ["1.2.3.4"]]),
    "addresses": (tuple[IpAddress, ...], [(), (IpAddress("1.2.3.4"), IpAddress("::1"))]),
    "severities": (list[Severity], [[], [Severity.HIGH, Severity.LOW]]),
    "observables": (tuple[Observable, ...], [(), FULL.observables]),
    "counts": (dict[str, int], [{}, {"a": 1, "b": 2}]),
    "nested": (list[list[str]], [[], [["a"], []]]),
    "maybe_whole": (int | None, [None, 3]),
    "maybe_text": (str | None, [None, "y"]),
    "maybe_address": (IpAddress | None, [None, IpAddress("9.9.9.9")]),
    "maybe_time": (datetime | None, [None, NOW]),
    "either": (int | str, [1, "x"]),
    "mixed": (list[int | str], [[], [1, "a"], ["b", 2]]),
    "holes": (list[int | None], [[], [None, 2], [1]]),
    "calendar": (Calendar, [OFFICE]),
    "file": (FileRef, [FileRef.model_validate({"sha256": "c" * 64})]),
    "record": ({"a": int, "b": {"c": str | None, "d": list[int]}},
               [{"a": 1, "b": {"c": "x", "d": [1]}}, {"a": 2, "b": {"c": None, "d": []}}]),
    "looks": (list[Look], [[], [LOOK, Look()]]),
    "look": (Look | None, [None, LOOK, Look()]),
    "place": (list[float], [[52.0, 13.0], [1.0]]),
}  # fmt: skip
SCOPE = {name: annotation for name, (annotation, _) in WORLD.items()}
VALUES = st.fixed_dictionaries({name: st.sampled_from(values) for name, (_, values) in WORLD.items()})

TEXTS = [
    "'x'",
    "'a'",
    "'10.0.0.0/8'",
    "'high'",
    "'open'",
    "'type'",
    "'value'",
    "'a.example'",
    "'T1110'",
    "'%Y'",
    "'UTC'",
]
FIELDS = ["source", "ip", "port", "user", "name", "mail", "title", "observables", "type", "value", "severity", "attack",
          "time", "file", "sha256", "a", "b", "c", "d", "score", "tags", "seen", "kind", "count", "host", "holidays",
          "domain", "0"]  # fmt: skip
LITERALS = ["1", "0", "-1", "2.5", "true", "none", "[]", "['a', 1]", "['a', 'b']", "{'a': 1}", "[1, 2]", "[1.5, 2]",
            "days(3)", "now()", "['type', 'value']", "['10.0.0.0/8']", *TEXTS]  # fmt: skip
OPERATORS = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", ">", "<=", ">=", "in", "not in", "and", "or"]
UNCHECKED = {"from_json"}
"""what it gives is for nobody to know"""


class Grower:
    """Builds expressions out of smaller ones that the checker let through."""

    def __init__(self, draw: Any) -> None:
        self._draw = draw
        self.pool = list(SCOPE)

    def one(self) -> str:
        """A new expression, right or wrong."""
        maker = self._draw(
            st.sampled_from([self._operator, self._filter, self._filter, self._test, self._field, self._form])
        )
        return str(maker())

    def _any(self) -> str:
        return str(self._draw(st.sampled_from(self.pool + LITERALS)))

    def _operator(self) -> str:
        return f"({self._any()} {self._draw(st.sampled_from(OPERATORS))} {self._any()})"

    def _filter(self) -> str:
        name = self._draw(st.sampled_from(sorted({*FILTERS, "default"} - UNCHECKED)))
        if name == "default":
            return f"({self._any()} | default({self._any()}))"
        tool = FILTERS[name]
        arguments = self._arguments(tool)
        if tool.applies is not None and self._draw(st.booleans()):
            test = self._draw(st.sampled_from(sorted(TESTS)))
            arguments = [*arguments, f"'{test}'", *self._arguments(TESTS[test])]
        return f"({self._any()} | {name}({', '.join(arguments)}))"

    def _test(self) -> str:
        name = self._draw(st.sampled_from(sorted(TESTS)))
        return f"({self._any()} is {name}({', '.join(self._arguments(TESTS[name]))}))"

    def _arguments(self, tool: Tool) -> list[str]:
        count = self._draw(st.integers(tool.least, len(tool.arguments)))
        return [
            self._argument(wanted, literal=place < tool.literals) for place, wanted in enumerate(tool.arguments[:count])
        ]

    def _argument(self, wanted: Type, *, literal: bool) -> str:
        if literal:
            lists = any(isinstance(kind, ListOf) for kind in wanted.kinds)
            return (
                "['type', 'value']"
                if lists
                else self._draw(st.sampled_from([*TEXTS, *(f"'{name}'" for name in FIELDS)]))
            )
        if all(is_number(kind) for kind in wanted.kinds):
            return str(self._draw(st.sampled_from(["0", "1", "2", "whole", self._any()])))
        return self._draw(st.sampled_from(TEXTS)) if all(is_text(kind) for kind in wanted.kinds) else self._any()

    def _field(self) -> str:
        inside = self._draw(st.booleans())
        return (
            f"({self._any()}).{self._draw(st.sampled_from(FIELDS[:-1]))}" if inside else f"{self._any()}[{self._any()}]"
        )

    def _form(self) -> str:
        a, b, c = self._any(), self._any(), self._any()
        forms = [f"[{a}, {b}]", f"(not {a})", f"(-{a})", f"{{'a': {a}, 'b': {b}}}", f"({a} < {b} <= {c})",
                 f"({a} if {b} else {c})", f"({a} if {b})", f"({a} and {b} == {c})"]  # fmt: skip
        return str(self._draw(st.sampled_from(forms)))


def let_through(source: str) -> tuple[Expression, Expression, bool] | None:
    """The condition and the value that the checker finds no mistake in, and whether the value is surely there."""
    try:
        condition, value = compile_condition(source), compile_value(source)
    except ExpressionError:
        return None
    problems = check_types(value, SCOPE, present=())
    if any(one.level is FindingLevel.ERROR for one in (*problems, *check_types(condition, SCOPE))):
        return None
    return condition, value, not any(one.code == "may_be_absent" for one in problems)


def evaluated(expression: Expression, names: dict[str, Any], *, surely: bool) -> None:
    """Evaluate; only what data itself makes impossible may be raised, and absence only where it was foretold."""
    try:
        expression.value(names)
    except LimitExceeded:
        return
    except ValueAbsent:
        assert not surely
    except WrongType:
        raise
    except ExpressionError as raised:
        if isinstance(raised.__cause__, TypeError | AttributeError | LookupError):
            raise


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data(), VALUES)
def test_what_the_checker_lets_through_fails_on_no_type(data: st.DataObject, names: dict[str, Any]) -> None:
    """Nor does it find nothing where the checker saw no absence; limits and what data itself forbids aside."""
    grower = Grower(data.draw)
    for _ in range(12):
        source = grower.one()
        found = let_through(source) if len(source) < 400 else None
        if found is None:
            continue
        condition, value, surely = found
        evaluated(condition, names, surely=True)
        evaluated(value, names, surely=surely)
        grower.pool.append(source)


@pytest.mark.parametrize("tool", [*FILTERS.values(), *TESTS.values()], ids=lambda tool: tool.name)
def test_every_filter_and_test_says_what_it_takes_and_shows_an_example(tool: Tool) -> None:
    """So a new one is checked from its first day, and documented."""
    assert tool.function.__doc__
    assert "`" in tool.function.__doc__ or tool in TESTS.values()
    assert tool.takes.kinds
    assert callable(tool.gives) or tool.gives.kinds
    assert as_type(tool.takes) is tool.takes
