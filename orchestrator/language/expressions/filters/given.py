"""What a filter or test is given: of the kind that it expects, and counted. There are no conversions."""

from __future__ import annotations

from typing import Any

from orchestrator.errors import ExpressionError
from orchestrator.language.expressions.limits import Meter
from orchestrator.language.expressions.values import kind_of


def listed(meter: Meter, value: Any) -> list[Any]:
    """The value as a list that was counted; raises where it is none."""
    if not isinstance(value, list | tuple):
        raise ExpressionError(f"expected a list, found {kind_of(value)}")
    meter.step(len(value))
    return list(value)


def text(meter: Meter, value: Any, times: int = 1) -> str:
    """The value as text whose reading (so many times) was counted; raises where it is none."""
    if not isinstance(value, str):
        raise ExpressionError(f"expected text, found {kind_of(value)}")
    return meter.read(str(value), times)


def a_number(value: Any) -> float:
    """The value as a number; raises where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ExpressionError(f"expected a number, found {kind_of(value)}")
    return value


def a_count(value: Any, least: int = 0, most: int | None = None) -> int:
    """The value as a whole number between two bounds; raises where it is none."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
        bounds = f"of {least} or more" if most is None else f"from {least} to {most}"
        raise ExpressionError(f"expected a whole number {bounds}")
    return value
