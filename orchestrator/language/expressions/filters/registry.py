"""The filters and tests that expressions may use: each one function with an example in its docstring."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from orchestrator.language.expressions.kinds import ABSENT, TRUTH, Type, as_type
from orchestrator.language.expressions.signatures import Rule

Function = Callable[..., Any]
ALL = 99


@dataclass(frozen=True)
class Tool:
    """A filter or a test. The function gets the meter, the value, then the arguments that the author wrote.

    `takes` and `arguments` are the types of what it is given, `gives` that of what comes out, or a rule that finds it
    where the types that it was given decide. At least the first `least` arguments are written. The first `literals`
    arguments must be literals: what a name, a pattern or a form is made of never comes from an alert. `check` sees the
    arguments once, before anything runs, where all are literals. `applies` is the place of the argument that names a
    test, whose own arguments follow it. `of_nothing` is a test that may be asked of what is absent.
    """

    name: str
    function: Function
    takes: Type
    arguments: tuple[Type, ...]
    gives: Type | Rule
    least: int
    literals: int
    check: Function | None = None
    applies: int | None = None
    of_nothing: bool = False


FILTERS: dict[str, Tool] = {}
TESTS: dict[str, Tool] = {}


def is_filter(
    name: str,
    *,
    takes: Any,
    gives: Any,
    arguments: tuple[Any, ...] = (),
    least: int | None = None,
    literals: int = 0,
    check: Function | None = None,
    applies: int | None = None,
) -> Callable[[Function], Function]:
    """Register a filter by the types that it takes and gives: annotations, or for `gives` a rule.

    Its arguments may be left out from the `least`-th on (none may, unless said).
    """
    typed, needed = _types(arguments), len(arguments) if least is None else least
    result = gives if isinstance(gives, FunctionType) else _given(as_type(gives))
    return _register(
        FILTERS,
        lambda function: Tool(name, function, as_type(takes), typed, result, needed, literals, check, applies),
    )


def is_test(
    name: str,
    *,
    takes: Any,
    arguments: tuple[Any, ...] = (),
    rule: Rule | None = None,
    literals: int = 0,
    check: Function | None = None,
    of_nothing: bool = False,
) -> Callable[[Function], Function]:
    """Register a test by the types that it takes, all of its arguments needed; `rule` says what else can be wrong."""
    typed, gives = _types(arguments), rule or TRUTH
    return _register(
        TESTS,
        lambda function: Tool(
            name, function, as_type(takes), typed, gives, len(typed), literals, check, of_nothing=of_nothing
        ),
    )


def _given(found: Type) -> Type:
    """None in what a filter gives is an absence: there is nothing that a field could hold."""
    return found.there | ABSENT if found.lacks else found


def _types(annotations: tuple[Any, ...]) -> tuple[Type, ...]:
    return tuple(as_type(annotation) for annotation in annotations)


def _register(tools: dict[str, Tool], make: Callable[[Function], Tool]) -> Callable[[Function], Function]:
    def register(function: Function) -> Function:
        tool = make(function)
        if tool.name in tools:
            raise ValueError(f"{tool.name} is registered twice")
        tools[tool.name] = tool
        return function

    return register


def load() -> None:
    """Import every family of filters."""
    package = importlib.import_module("orchestrator.language.expressions.filters")
    for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(found.name)
