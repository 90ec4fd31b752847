"""The filters and tests that expressions may use: each one function with an example in its docstring."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Function = Callable[..., Any]


@dataclass(frozen=True)
class Tool:
    """A filter or a test. The function gets the meter, the value, then the arguments that the author wrote.

    `literal` says that its arguments must be literals, so that they are checked once, before anything runs.
    """

    name: str
    function: Function
    most_arguments: int
    least_arguments: int
    literal: bool


FILTERS: dict[str, Tool] = {}
TESTS: dict[str, Tool] = {}


def is_filter(
    name: str, *, arguments: int = 0, least: int | None = None, literal: bool = False
) -> Callable[[Function], Function]:
    """Register a filter that takes up to `arguments` arguments, at least `least` (all, unless said)."""
    return _register(FILTERS, name, arguments, least, literal=literal)


def is_test(name: str, *, arguments: int = 0, literal: bool = False) -> Callable[[Function], Function]:
    """Register a test."""
    return _register(TESTS, name, arguments, None, literal=literal)


def _register(
    tools: dict[str, Tool], name: str, arguments: int, least: int | None, *, literal: bool
) -> Callable[[Function], Function]:
    def register(function: Function) -> Function:
        if name in tools:
            raise ValueError(f"{name} is registered twice")
        tools[name] = Tool(name, function, arguments, arguments if least is None else least, literal)
        return function

    return register


def load() -> None:
    """Import every family of filters."""
    package = importlib.import_module("orchestrator.language.expressions.filters")
    for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(found.name)
