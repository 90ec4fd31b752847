"""The filters and tests that expressions may use: each one function with an example in its docstring."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Function = Callable[..., Any]
ALL = 99


@dataclass(frozen=True)
class Tool:
    """A filter or a test. The function gets the meter, the value, then the arguments that the author wrote.

    The first `literals` arguments must be literals: what a name, a pattern or a form is made of never comes from an
    alert. `check` sees the arguments once, before anything runs, where all are literals. `applies` is the place of the
    argument that names a test, whose own arguments follow it. `of_nothing` is a test that may be
    asked of what is absent.
    """

    name: str
    function: Function
    most_arguments: int
    least_arguments: int
    literals: int
    check: Function | None = None
    applies: int | None = None
    of_nothing: bool = False


FILTERS: dict[str, Tool] = {}
TESTS: dict[str, Tool] = {}


def is_filter(
    name: str,
    *,
    arguments: int = 0,
    least: int | None = None,
    literals: int = 0,
    check: Function | None = None,
    applies: int | None = None,
) -> Callable[[Function], Function]:
    """Register a filter that takes up to `arguments` arguments, at least `least` (all, unless said)."""
    least = arguments if least is None else least
    return _register(FILTERS, lambda function: Tool(name, function, arguments, least, literals, check, applies))


def is_test(
    name: str, *, arguments: int = 0, literals: int = 0, check: Function | None = None, of_nothing: bool = False
) -> Callable[[Function], Function]:
    """Register a test; it takes exactly `arguments` arguments."""
    return _register(
        TESTS, lambda function: Tool(name, function, arguments, arguments, literals, check, of_nothing=of_nothing)
    )


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
