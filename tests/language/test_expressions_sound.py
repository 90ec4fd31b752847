"""What the checker lets through: found by trying many, such an expression never fails on a type when it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
from orchestrator.language.expressions import (
    MAY_BE_ABSENT,
    Expression,
    Scope,
    check_types,
    compile_condition,
    compile_template,
    compile_value,
    infer,
)
from orchestrator.language.expressions.filters.registry import FILTERS, TESTS, Tool
from orchestrator.language.expressions.fitting import unfit
from orchestrator.language.expressions.kinds import (
    LOOSE,
    Const,
    Kind,
    ListOf,
    MapOf,
    Model,
    Nothing,
    Record,
    Scalar,
    Type,
    as_type,
    fields_of,
    list_of,
)
from orchestrator.language.expressions.values import is_absent

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
LITERALS = ["1", "0", "-1", "2.5", "true", "none", "[]", "['a', 1]", "['a', 'b']", "{'a': 1}", "[1, 2]", "[1.5, 2]",
            "days(3)", "now()", "['type', 'value']", "['10.0.0.0/8']", *TEXTS]  # fmt: skip
OPERATORS = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", ">", "<=", ">=", "in", "not in", "and", "or"]
UNCHECKED = {"from_json"}
"""what it gives is for nobody to know"""


def typed(source: str, scope: Scope) -> Type:
    """The type of an expression in this world."""
    return infer(compile_value(source).node, scope)


class Grower:
    """Builds expressions out of smaller ones that the checker let through; mostly of parts that fit."""

    def __init__(self, draw: Any, scope: Scope = SCOPE) -> None:
        self._draw = draw
        self._scope = scope
        self.pool = {source: typed(source, scope) for source in [*scope, *LITERALS]}

    def grow(self, times: int) -> Iterator[tuple[Expression, Expression, bool]]:
        """Each new expression that the checker lets through, as `let_through` has it."""
        for _ in range(times):
            source = self.one()
            found = let_through(source, self._scope) if len(source) < 400 else None
            if found is not None:
                self.pool[source] = typed(source, self._scope)
                yield found

    def one(self) -> str:
        """A new expression, right or wrong."""
        makers = [self._operator, self._filter, self._filter, self._filter, self._test, self._field, self._form]
        return str(self._pick(makers)())

    def _pick(self, choices: Sequence[Any]) -> Any:
        return self._draw(st.sampled_from(choices))

    def _any(self) -> str:
        return str(self._pick(list(self.pool)))

    def _of(self, wanted: Type) -> str:
        """One that fits, most of the time."""
        if self._draw(st.integers(0, 9)) == 0:
            return self._any()
        fitting = [one for one, found in self.pool.items() if found.there.kinds and not unfit(wanted, found)]
        return str(self._pick(fitting)) if fitting else self._any()

    def _operator(self) -> str:
        left = self._any()
        return f"({left} {self._pick(OPERATORS)} {self._of(self.pool[left].there)})"

    def _filter(self) -> str:
        name = self._pick(sorted({*FILTERS, "default"} - UNCHECKED))
        if name == "default":
            return f"({self._any()} | default({self._any()}))"
        tool = FILTERS[name]
        objects = [one for one, found in self.pool.items() if names_in(found.item)]
        value = str(self._pick(objects)) if tool.literals and self._draw(st.booleans()) else self._of(tool.takes)
        arguments = self._arguments(tool, self.pool[value])
        if tool.applies is not None and self._draw(st.booleans()):
            test = self._pick(sorted(TESTS))
            arguments = [*arguments, f"'{test}'", *self._arguments(TESTS[test], self.pool[value])]
        return f"({value} | {name}({', '.join(arguments)}))"

    def _test(self) -> str:
        tool = TESTS[self._pick(sorted(TESTS))]
        value = self._of(tool.takes)
        return f"({value} is {tool.name}({', '.join(self._arguments(tool, self.pool[value]))}))"

    def _arguments(self, tool: Tool, value: Type) -> list[str]:
        count = self._draw(st.integers(tool.least, len(tool.arguments)))
        found = []
        for place, wanted in enumerate(tool.arguments[:count]):
            found.append(self._literal(tool, value) if place < tool.literals else self._of(wanted))
        return found

    def _literal(self, tool: Tool, value: Type) -> str:
        """A literal that could be meant: the name of a field of the items, a column of them, a form."""
        fields = names_in(value.item if value.item.kinds else value)
        literals = [*(f"'{name}'" for name in fields), *TEXTS]
        known = {"table": [f"['{name}']" for name in fields], "digest": ["'md5'", "'sha256'"]}
        return str(self._pick(known.get(tool.name) or literals))

    def _field(self) -> str:
        value = self._any()
        if self._draw(st.booleans()):
            return f"({value}).{self._pick(names_in(self.pool[value]) or ['name'])}"
        return f"{value}[{self._any()}]"

    def _form(self) -> str:
        a, b, c = self._any(), self._any(), self._any()
        forms = [f"[{a}, {b}]", f"(not {a})", f"(-{a})", f"{{'a': {a}, 'b': {b}}}", f"({a} < {b} <= {c})",
                 f"({a} if {b} else {c})", f"({a} if {b})", f"({a} and {b} == {c})",
                 f"({a} if {a} else {b})"]  # fmt: skip
        return str(self._pick(forms))


def names_in(found: Type) -> list[str]:
    """The names of the fields that a value may have."""
    names: list[str] = []
    for kind in found.kinds:
        names += fields_of(kind.cls) if isinstance(kind, Model) else kind.fields if isinstance(kind, Record) else ()
    return names


def let_through(source: str, scope: Scope) -> tuple[Expression, Expression, bool] | None:
    """The condition and the value that the checker finds no mistake in, and whether the value is surely there."""
    try:
        condition, value = compile_condition(source), compile_value(source)
    except ExpressionError:
        return None
    problems = check_types(value, scope, present=())
    if any(one.level is FindingLevel.ERROR for one in (*problems, *check_types(condition, scope))):
        return None
    return condition, value, not any(one.code == MAY_BE_ABSENT for one in problems)


def belongs(value: Any, found: Type) -> bool:
    """Whether a value is one that the type allows."""
    return any(_is_a(value, kind) for kind in found.kinds)


def _is_a(value: Any, kind: Kind) -> bool:
    match kind:
        case Scalar(cls=cls):
            return isinstance(value, (int, float) if cls is float else cls) and isinstance(value, bool) == (cls is bool)
        case Const(cls=cls, value=known):
            return type(value) is cls and bool(value == known)
        case ListOf(item=item):
            return isinstance(value, list | tuple) and all(belongs(one, item) for one in value)
        case MapOf(value=inner):
            return isinstance(value, dict) and all(belongs(one, inner) for one in value.values())
        case Record(fields=fields):
            inside = {name: as_type(fields[name]) for name in fields}
            return isinstance(value, dict) and all(
                name in inside and belongs(value[name], inside[name]) for name in value
            )
        case Model(cls=model):
            return isinstance(value, model)
    return is_absent(value) if isinstance(kind, Nothing) else True


def evaluated(expression: Expression, names: dict[str, Any], *, surely: bool) -> None:
    """The value is of the type that was found."""
    found = rendered(lambda: (expression.value(names),), surely=surely)
    wanted = infer(expression.node, SCOPE, lenient=expression.lenient)
    assert found is None or belongs(found[0], wanted), found


def rendered(work: Callable[[], Any], *, surely: bool) -> Any:
    """What comes out; only what data itself forbids is raised, and absence only where it was foretold."""
    try:
        return work()
    except LimitExceeded:
        return None
    except ValueAbsent:
        assert not surely
    except WrongType:
        raise
    except ExpressionError as raised:
        if isinstance(raised.__cause__, TypeError | AttributeError | LookupError):
            raise
    return None


TRIED = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@TRIED
@given(st.data(), VALUES)
def test_what_the_checker_lets_through_fails_on_no_type(data: st.DataObject, names: dict[str, Any]) -> None:
    """Nor does it find nothing where the checker saw no absence; limits and what data itself forbids aside."""
    for condition, value, surely in Grower(data.draw).grow(12):
        evaluated(condition, names, surely=True)
        evaluated(value, names, surely=surely)


@TRIED
@given(st.data(), VALUES)
def test_a_template_that_is_let_through_fails_on_no_type(data: st.DataObject, names: dict[str, Any]) -> None:
    """With loops over lists, choices, and what they guard."""
    lists = [
        one for one, found in Grower(data.draw).pool.items() if found.item.kinds and not unfit(list_of(LOOSE), found)
    ]
    over = data.draw(st.sampled_from(lists))
    scope = {**SCOPE, "one": typed(over, SCOPE).item}
    grower = Grower(data.draw, scope)
    parts = [*(value.source for _, value, _ in grower.grow(4)), "one"]
    test, then, otherwise = (data.draw(st.sampled_from(parts)) for _ in range(3))
    source = "{%% for one in %s %%}{%% if %s %%}{{ %s }}{%% else %%}{{ %s }}{%% endif %%}{{ loop.index }}{%% endfor %%}"
    template = compile_template(source % (over, test, then, otherwise))
    problems = check_types(template, SCOPE, present=())
    if not any(one.level is FindingLevel.ERROR for one in problems):
        surely = not any(one.code == MAY_BE_ABSENT for one in problems)
        rendered(lambda: template.render(names), surely=surely)


@pytest.mark.parametrize("tool", [*FILTERS.values(), *TESTS.values()], ids=lambda tool: tool.name)
def test_every_filter_and_test_says_what_it_takes_and_shows_an_example(tool: Tool) -> None:
    """So a new one is checked from its first day, and documented."""
    assert tool.function.__doc__
    assert "`" in tool.function.__doc__ or tool in TESTS.values()
    assert tool.takes.kinds
    assert callable(tool.gives) or tool.gives.kinds
    assert as_type(tool.takes) is tool.takes
